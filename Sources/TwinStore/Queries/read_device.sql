-- One device identity with its session.
-- $1 text: device id.
-- Rows: one, or none when there is no such device. Index: devices_pkey, device_sessions_pkey. A plain read.
SELECT d.device_id, d.generation_id, d.etag, d.status, d.status_reason,
       (extract(epoch FROM d.status_updated_at) * 1000000)::bigint AS status_updated, d.authentication_type,
       translate(encode(d.primary_key, 'base64'), E'\n', '') AS primary_key,
       translate(encode(d.secondary_key, 'base64'), E'\n', '') AS secondary_key,
       d.primary_thumbprint, d.secondary_thumbprint, d.edge, d.model_id,
       (extract(epoch FROM d.created_at) * 1000000)::bigint AS created,
       coalesce(s.connected, false) AS connected,
       (extract(epoch FROM s.connected_at) * 1000000)::bigint AS connected_at,
       (extract(epoch FROM s.last_activity_at) * 1000000)::bigint AS last_activity
FROM devices AS d LEFT JOIN device_sessions AS s ON s.device_id = d.device_id
WHERE d.device_id = $1
