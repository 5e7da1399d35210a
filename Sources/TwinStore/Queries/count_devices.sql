-- How many devices there are.
-- Rows: one: total, enabled, connected. Index: none; it reads both tables, which is all that a count can do.
SELECT count(*) AS total, count(*) FILTER (WHERE status = 'enabled') AS enabled,
       (SELECT count(*) FROM device_sessions WHERE connected) AS connected
FROM devices
