-- Whether the cluster has its database.
-- Returns one row if so. Index: pg_database by name.
SELECT 1 FROM pg_database WHERE datname = 'muster'
