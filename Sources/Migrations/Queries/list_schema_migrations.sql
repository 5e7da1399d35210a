-- All applied migrations in order. No parameters. Index: the primary key. A plain read.
SELECT version, name, checksum, (extract(epoch FROM applied_at) * 1000000)::bigint AS applied_at
FROM schema_migrations
ORDER BY version
