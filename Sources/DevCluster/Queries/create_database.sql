-- Creates the cluster's database, in a transaction of its own, as PostgreSQL asks for.
-- Returns nothing. Only the process that holds the directory's lock runs it, so two never meet.
CREATE DATABASE muster
