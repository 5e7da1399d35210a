-- Opens a session for each device: the next number, on this gateway, with the subscriptions that were kept.
-- $1 text: gateway; $2 text: its incarnation; $3 text[]: device ids, each once; $4 boolean[]: clean session.
-- Rows: one for each device that exists: the new session, what it keeps, and whether it continues a kept session.
-- The first number of a row is the time in milliseconds, so that a device that was deleted and created again never gets
-- a number that its old connections are above; after that each session counts one up.
-- Index: device_sessions_pkey, devices_pkey; joined, the planner reads all devices for each call. Safe: of two gateways that open one device the later gets the higher
-- number; rows are locked in order of their ids. Repeating it only skips a number.
WITH asked AS (
    SELECT o.device_id, o.clean
    FROM unnest($3::text[], $4::boolean[]) AS o (device_id, clean)
    CROSS JOIN LATERAL (SELECT FROM devices AS d WHERE d.device_id = o.device_id OFFSET 0) AS d
), old AS (
    SELECT s.device_id, 'kept' = ANY (s.subscriptions) AS kept
    FROM device_sessions AS s
    WHERE s.device_id = ANY ($3::text[])
    ORDER BY s.device_id
    FOR UPDATE
), opened AS (
    INSERT INTO device_sessions AS s (
        device_id, gateway, incarnation, session, subscriptions, connected, connected_at, last_activity_at)
    SELECT a.device_id, $1, $2, (extract(epoch FROM now()) * 1000)::bigint,
           CASE WHEN a.clean THEN '{}'::text[] ELSE '{kept}' END, true, now(), now()
    FROM asked AS a
    LEFT JOIN old AS o ON o.device_id = a.device_id
    ORDER BY a.device_id
    ON CONFLICT (device_id) DO UPDATE
    SET gateway = excluded.gateway,
        incarnation = excluded.incarnation,
        session = s.session + 1,
        subscriptions = CASE WHEN excluded.subscriptions = '{}' THEN excluded.subscriptions
                             WHEN 'kept' = ANY (s.subscriptions) THEN s.subscriptions
                             ELSE excluded.subscriptions END,
        connected = true,
        connected_at = CASE WHEN s.connected THEN s.connected_at ELSE excluded.connected_at END,
        last_activity_at = excluded.last_activity_at
    RETURNING s.device_id, s.session, s.subscriptions
)
SELECT n.device_id, n.session, array_remove(n.subscriptions, 'kept') AS subscriptions,
       'kept' = ANY (n.subscriptions) AND coalesce(o.kept, false) AS present
FROM opened AS n
LEFT JOIN old AS o ON o.device_id = n.device_id
