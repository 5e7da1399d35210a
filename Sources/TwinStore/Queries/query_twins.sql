-- A page of whole twins that a compiled condition selects, in order of their ids.
-- $1 text: last id of the page before, '' for the first. $2 integer: most rows. The condition's parameters follow.
-- The condition is the query compiler's output over t (twins), d (devices) and s (device_sessions); user text is only
-- in its parameters.
-- Rows: as in read_twin. Index: twins_pkey in order, or what the condition allows (twins_tags, twins_pkey). A plain read.
SELECT d.device_id, d.generation_id, d.etag, d.status, d.status_reason,
       (extract(epoch FROM d.status_updated_at) * 1000000)::bigint AS status_updated, d.authentication_type,
       NULL::text AS primary_key, NULL::text AS secondary_key,
       d.primary_thumbprint, d.secondary_thumbprint, d.edge, d.model_id,
       (extract(epoch FROM d.created_at) * 1000000)::bigint AS created,
       coalesce(s.connected, false) AS connected,
       (extract(epoch FROM s.connected_at) * 1000000)::bigint AS connected_at,
       (extract(epoch FROM s.last_activity_at) * 1000000)::bigint AS last_activity,
       t.etag AS twin_etag, t.desired_version, t.reported_version, t.tags, t.desired, t.reported,
       t.desired_metadata, t.reported_metadata
FROM twins t
JOIN devices d ON d.device_id = t.device_id
LEFT JOIN device_sessions s ON s.device_id = t.device_id
WHERE (/*condition:*/ true /*:condition*/) AND t.device_id > $1
ORDER BY t.device_id
LIMIT $2
