-- Whether the table of migrations exists. No parameters; one row. A plain read.
SELECT to_regclass('schema_migrations') IS NOT NULL AS exists
