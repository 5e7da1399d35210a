-- Open sessions of a gateway that must end: their device is gone or disabled, or has a newer session elsewhere.
-- $1 text[]: device ids; $2 bigint[]: session numbers.
-- Rows: one for each such session, with the reason. Index: devices_pkey, device_sessions_pkey. Safe: reads only.
-- Each session is looked up by its keys: joined, the planner reads all devices and all sessions for each piece of a
-- gateway's walk (half a core at 100,000 sessions).
SELECT c.device_id, c.session,
       CASE WHEN r.status IS NULL THEN 'deleted' WHEN r.status <> 'enabled' THEN 'disabled'
            ELSE 'superseded' END AS reason
FROM unnest($1::text[], $2::bigint[]) AS c (device_id, session)
CROSS JOIN LATERAL (
    SELECT (SELECT d.status FROM devices AS d WHERE d.device_id = c.device_id) AS status,
           (SELECT s.session FROM device_sessions AS s WHERE s.device_id = c.device_id) AS session
    OFFSET 0
) AS r
WHERE r.status IS NULL OR r.status <> 'enabled' OR r.session IS DISTINCT FROM c.session
