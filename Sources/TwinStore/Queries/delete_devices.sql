-- Deletes device identities whose etag is the one asked for; their twins and sessions go with them.
-- $1 jsonb: array of objects: device_id, etag (base64 text as clients see it; null: any).
-- Rows: one for each object: device_id and outcome (done, absent, mismatch).
-- Index: devices_pkey. Safe: rows are locked in order of their ids before the etag is judged.
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS g (device_id text, etag text)
), locked AS MATERIALIZED (
    SELECT d.device_id, d.etag
    FROM devices AS d
    WHERE d.device_id IN (SELECT device_id FROM given)
    ORDER BY d.device_id
    FOR UPDATE
), deleted AS (
    DELETE FROM devices AS d
    USING given AS g JOIN locked AS l ON l.device_id = g.device_id
    WHERE d.device_id = g.device_id
      AND (g.etag IS NULL OR g.etag = translate(encode(convert_to(l.etag::text, 'UTF8'), 'base64'), E'\n', ''))
    RETURNING d.device_id
)
SELECT g.device_id,
       CASE WHEN l.device_id IS NULL THEN 'absent' WHEN d.device_id IS NULL THEN 'mismatch' ELSE 'done' END AS outcome
FROM given AS g
LEFT JOIN locked AS l ON l.device_id = g.device_id
LEFT JOIN deleted AS d ON d.device_id = g.device_id
