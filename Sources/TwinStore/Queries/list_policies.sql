-- All shared access policies.
-- Rows: name, permissions, primary_key and secondary_key (raw), in order of names. At most 16. A plain read.
SELECT name, permissions, primary_key, secondary_key FROM policies ORDER BY name
