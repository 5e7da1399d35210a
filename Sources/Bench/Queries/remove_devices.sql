-- Removes all devices with their twins and sessions. Only ever runs on a database that the benchmark found empty.
-- Returns nothing. Safe: the roles are stopped.
TRUNCATE devices CASCADE
