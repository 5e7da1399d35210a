-- Open sessions of a gateway that must end: their device is gone or disabled, or has a newer session elsewhere.
-- $1 text[]: device ids; $2 bigint[]: session numbers.
-- Rows: one for each such session, with the reason. Index: devices_pkey, device_sessions_pkey. Safe: reads only.
SELECT c.device_id, c.session,
       CASE WHEN d.device_id IS NULL THEN 'deleted' WHEN d.status <> 'enabled' THEN 'disabled'
            ELSE 'superseded' END AS reason
FROM unnest($1::text[], $2::bigint[]) AS c (device_id, session)
LEFT JOIN devices AS d ON d.device_id = c.device_id
LEFT JOIN device_sessions AS s ON s.device_id = c.device_id
WHERE d.device_id IS NULL OR d.status <> 'enabled' OR s.session IS DISTINCT FROM c.session
