-- Removes what create_bare_items made, if it is there.
-- Returns nothing. Safe: a table of the benchmark's own.
DROP TABLE IF EXISTS bench_items
