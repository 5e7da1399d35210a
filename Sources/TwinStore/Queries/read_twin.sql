-- One twin with its identity and session.
-- $1 text: device id.
-- Rows: one, or none when there is no such device. Index: devices_pkey, twins_pkey, device_sessions_pkey. A plain read.
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
FROM devices AS d
JOIN twins AS t ON t.device_id = d.device_id
LEFT JOIN device_sessions AS s ON s.device_id = d.device_id
WHERE d.device_id = $1
