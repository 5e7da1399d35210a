-- Replaces tags and desired properties of one twin whose etag is the one asked for.
-- $1 text: device id. $2 jsonb: tags. $3 jsonb: desired. $4 text[]: dotted paths of desired, root included.
-- $5 text: etag as clients see it (base64); null: any.
-- Rows: one with outcome (done, mismatch), or none when there is no such device.
-- Index: twins_pkey. Safe: the row is locked before its etag is judged, so of two writers with the same etag one sees
-- mismatch.
WITH locked AS MATERIALIZED (
    SELECT etag, desired FROM twins WHERE device_id = $1 FOR UPDATE
), updated AS (
    UPDATE twins AS t
    SET tags = $2::jsonb,
        desired = $3::jsonb,
        desired_metadata = (SELECT jsonb_object_agg(p.path, jsonb_build_array(
                                (extract(epoch FROM now()) * 1000000)::bigint, t.desired_version + 1))
                            FROM unnest($4::text[]) AS p (path)),
        etag = t.etag + 1,
        desired_version = t.desired_version + 1
    FROM locked AS l
    WHERE t.device_id = $1 AND ($5::text IS NULL OR encode(int8send(l.etag), 'base64') = $5)
    RETURNING t.etag, t.desired_version
), noticed AS (
    -- The device is told all new values, and null for each key of the top level that is gone.
    INSERT INTO twin_notices (device_id, version, patch)
    SELECT $1, u.desired_version,
           coalesce((SELECT jsonb_object_agg(k, NULL) FROM jsonb_object_keys(l.desired) AS k), '{}') || $3::jsonb
    FROM updated AS u, locked AS l
    WHERE EXISTS (SELECT FROM gateways)
)
SELECT CASE WHEN u.etag IS NULL THEN 'mismatch' ELSE 'done' END AS outcome
FROM locked AS l LEFT JOIN updated AS u ON true
