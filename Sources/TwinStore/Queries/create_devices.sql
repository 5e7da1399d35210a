-- Creates device identities with their twins; ids that exist already are left alone.
-- $1 jsonb: array of objects: device_id, generation_id, status, status_reason, authentication_type, primary_key and
--    secondary_key (base64), primary_thumbprint, secondary_thumbprint, edge, tags, desired, desired_paths (dotted paths
--    of desired, root included). Absent members are null.
-- Rows: one for each device created, as in read_device. An id without a row existed.
-- Index: devices_pkey. Safe: the key decides which of two creates wins; the loser's ON CONFLICT waits for the winner.
-- Ordered by id, so that two bulk requests cannot deadlock.
WITH given AS MATERIALIZED (
    SELECT *
    FROM jsonb_to_recordset($1::jsonb) AS g (
        device_id text, generation_id text, status text, status_reason text, authentication_type text,
        primary_key text, secondary_key text, primary_thumbprint text, secondary_thumbprint text, edge boolean,
        tags jsonb, desired jsonb, desired_paths jsonb)
), created AS (
    INSERT INTO devices (device_id, generation_id, status, status_reason, authentication_type, primary_key,
                         secondary_key, primary_thumbprint, secondary_thumbprint, edge)
    SELECT device_id, generation_id, status, status_reason, authentication_type, decode(primary_key, 'base64'),
           decode(secondary_key, 'base64'), primary_thumbprint, secondary_thumbprint, coalesce(edge, false)
    FROM given
    ORDER BY device_id COLLATE "C"
    ON CONFLICT (device_id) DO NOTHING
    RETURNING *
), new_twins AS (
    INSERT INTO twins (device_id, tags, desired, desired_metadata)
    SELECT g.device_id, coalesce(g.tags, '{}'), coalesce(g.desired, '{}'),
           coalesce((SELECT jsonb_object_agg(p.path, jsonb_build_array((extract(epoch FROM now()) * 1000000)::bigint, 1))
                     FROM jsonb_array_elements_text(g.desired_paths) AS p (path)), '{}')
    FROM given AS g JOIN created AS c ON c.device_id = g.device_id
)
SELECT d.device_id, d.generation_id, d.etag, d.status, d.status_reason,
       (extract(epoch FROM d.status_updated_at) * 1000000)::bigint AS status_updated, d.authentication_type,
       translate(encode(d.primary_key, 'base64'), E'\n', '') AS primary_key,
       translate(encode(d.secondary_key, 'base64'), E'\n', '') AS secondary_key,
       d.primary_thumbprint, d.secondary_thumbprint, d.edge, d.model_id,
       (extract(epoch FROM d.created_at) * 1000000)::bigint AS created,
       false AS connected, NULL::bigint AS connected_at, NULL::bigint AS last_activity
FROM created AS d
