-- Writes merged twins; second half of a bulk twin update, after lock_twins in the same transaction.
-- $1 jsonb: array of objects: device_id, tags (absent: stays), desired, desired_metadata and notice (absent: stay;
--    present: desired_version counts up, and the device is to be told the notice if any gateway lives).
-- Rows: none. Index: twins_pkey. Safe: the caller holds the locks, so nothing changed since it merged.
WITH g AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb)
        AS r (device_id text, tags jsonb, desired jsonb, desired_metadata jsonb, notice jsonb)
), written AS (
    UPDATE twins AS t
    SET tags = coalesce(g.tags, t.tags),
        desired = coalesce(g.desired, t.desired),
        desired_metadata = coalesce(g.desired_metadata, t.desired_metadata),
        desired_version = t.desired_version + CASE WHEN g.desired IS NULL THEN 0 ELSE 1 END,
        etag = t.etag + 1
    FROM g
    WHERE t.device_id = g.device_id
    RETURNING t.device_id, t.desired_version, g.notice
)
INSERT INTO twin_notices (device_id, version, patch)
SELECT device_id, desired_version, notice FROM written
WHERE notice IS NOT NULL AND EXISTS (SELECT FROM gateways)
