-- Writes merged twins; second half of a bulk twin update, after lock_twins in the same transaction.
-- $1 jsonb: array of objects: device_id, tags (absent: stays), desired and desired_metadata (absent: stay; present:
--    desired_version counts up).
-- Rows: none. Index: twins_pkey. Safe: the caller holds the locks, so nothing changed since it merged.
UPDATE twins AS t
SET tags = coalesce(g.tags, t.tags),
    desired = coalesce(g.desired, t.desired),
    desired_metadata = coalesce(g.desired_metadata, t.desired_metadata),
    desired_version = t.desired_version + CASE WHEN g.desired IS NULL THEN 0 ELSE 1 END,
    etag = t.etag + 1
FROM jsonb_to_recordset($1::jsonb) AS g (device_id text, tags jsonb, desired jsonb, desired_metadata jsonb)
WHERE t.device_id = g.device_id
