-- Marks sessions of this gateway as closed, unless the device has a newer one.
-- $1 text: gateway; $2 text: its incarnation; $3 text[]: device ids, each once; $4 bigint[]: session numbers;
-- $5 bigint[]: milliseconds since the last packet.
-- Rows: none. Index: device_sessions_pkey. Safe: changes only rows that still name exactly this session, in order of
-- their ids; repeating it changes nothing.
UPDATE device_sessions AS s
SET connected = false, connected_at = now(), last_activity_at = l.activity
FROM (
    SELECT k.device_id, greatest(k.last_activity_at, now() - c.ago * interval '1 millisecond') AS activity
    FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS c (device_id, session, ago)
    JOIN device_sessions AS k ON k.device_id = c.device_id AND k.session = c.session
    WHERE k.gateway = $1 AND k.incarnation = $2 AND k.connected
    ORDER BY k.device_id
    FOR UPDATE OF k
) AS l
WHERE s.device_id = l.device_id
