-- The table of applied migrations. Runs under lock_schema_migrations: IF NOT EXISTS alone fails when two run at once.
-- No parameters, no rows.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,             -- SHA-256 of the file, hexadecimal
    applied_at timestamptz NOT NULL DEFAULT now()
)
