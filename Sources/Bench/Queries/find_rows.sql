-- Whether the database already belongs to somebody: benchmarks remove devices and jobs.
-- Returns one row: in_use. Index: any; reads one row of each table.
SELECT EXISTS (SELECT FROM devices) OR EXISTS (SELECT FROM jobs) AS in_use
