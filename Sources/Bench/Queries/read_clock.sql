-- The server's clock, to which the times of jobs are compared.
-- Returns one row: now, in seconds since 1970.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now
