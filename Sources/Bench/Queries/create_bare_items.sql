-- A table with the columns, key, indexes and fill of a partition of work items, for bare_expand.
-- Returns nothing. Safe: a table of the benchmark's own.
CREATE TABLE bench_items (LIKE work_items INCLUDING ALL) WITH (fillfactor = 50)
