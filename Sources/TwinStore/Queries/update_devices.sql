-- Updates device identities whose etag is the one asked for.
-- $1 jsonb: array of objects: device_id, etag (base64 text as clients see it; null: any), status, status_reason,
--    authentication_type (null: authentication stays), primary_key and secondary_key (base64; null: stays),
--    generated_primary_key and generated_secondary_key (base64; used when sas and none is given or stored),
--    primary_thumbprint, secondary_thumbprint, edge (null: stays).
-- Rows: one for each object: device_id and outcome (done, absent, mismatch); the columns of read_device for done.
-- Index: devices_pkey. Safe: rows are locked in order of their ids before the etag is judged, so of two updates with
-- the same etag one sees mismatch.
WITH given AS MATERIALIZED (
    SELECT *
    FROM jsonb_to_recordset($1::jsonb) AS g (
        device_id text, etag text, status text, status_reason text, authentication_type text, primary_key text,
        secondary_key text, generated_primary_key text, generated_secondary_key text, primary_thumbprint text,
        secondary_thumbprint text, edge boolean)
), locked AS MATERIALIZED (
    SELECT d.device_id, d.etag
    FROM devices AS d
    WHERE d.device_id IN (SELECT device_id FROM given)
    ORDER BY d.device_id
    FOR UPDATE
), updated AS (
    UPDATE devices AS d
    SET etag = nextval('device_etags'),
        status = g.status,
        status_reason = g.status_reason,
        status_updated_at = CASE WHEN d.status = g.status AND d.status_reason IS NOT DISTINCT FROM g.status_reason
                                 THEN d.status_updated_at ELSE now() END,
        authentication_type = coalesce(g.authentication_type, d.authentication_type),
        primary_key = CASE coalesce(g.authentication_type, d.authentication_type) WHEN 'sas'
            THEN coalesce(decode(g.primary_key, 'base64'), d.primary_key, decode(g.generated_primary_key, 'base64')) END,
        secondary_key = CASE coalesce(g.authentication_type, d.authentication_type) WHEN 'sas'
            THEN coalesce(decode(g.secondary_key, 'base64'), d.secondary_key, decode(g.generated_secondary_key, 'base64'))
            END,
        primary_thumbprint = CASE WHEN g.authentication_type IS NULL THEN d.primary_thumbprint
                                  ELSE g.primary_thumbprint END,
        secondary_thumbprint = CASE WHEN g.authentication_type IS NULL THEN d.secondary_thumbprint
                                    ELSE g.secondary_thumbprint END,
        edge = coalesce(g.edge, d.edge)
    FROM given AS g JOIN locked AS l ON l.device_id = g.device_id
    WHERE d.device_id = g.device_id
      AND (g.etag IS NULL OR g.etag = translate(encode(convert_to(l.etag::text, 'UTF8'), 'base64'), E'\n', ''))
    RETURNING d.*
)
SELECT g.device_id,
       CASE WHEN l.device_id IS NULL THEN 'absent' WHEN d.device_id IS NULL THEN 'mismatch' ELSE 'done' END AS outcome,
       d.generation_id, d.etag, d.status, d.status_reason,
       (extract(epoch FROM d.status_updated_at) * 1000000)::bigint AS status_updated, d.authentication_type,
       translate(encode(d.primary_key, 'base64'), E'\n', '') AS primary_key,
       translate(encode(d.secondary_key, 'base64'), E'\n', '') AS secondary_key,
       d.primary_thumbprint, d.secondary_thumbprint, d.edge, d.model_id,
       (extract(epoch FROM d.created_at) * 1000000)::bigint AS created,
       coalesce(s.connected, false) AS connected,
       (extract(epoch FROM s.connected_at) * 1000000)::bigint AS connected_at,
       (extract(epoch FROM s.last_activity_at) * 1000000)::bigint AS last_activity
FROM given AS g
LEFT JOIN locked AS l ON l.device_id = g.device_id
LEFT JOIN updated AS d ON d.device_id = g.device_id
LEFT JOIN device_sessions AS s ON s.device_id = d.device_id
