-- The server's version and the settings that rates depend on, for the head of a report.
-- Returns rows: name, setting.
SELECT name, current_setting(name) AS setting
FROM pg_settings
WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'shared_buffers',
               'max_wal_size', 'checkpoint_timeout', 'autovacuum')
ORDER BY name = 'server_version' DESC, name
