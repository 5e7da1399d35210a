-- Moves the time of the last packet on.
-- $1 text: gateway; $2 text: its incarnation; $3 text[]: device ids, each once; $4 bigint[]: session numbers;
-- $5 bigint[]: milliseconds since the last packet.
-- Rows: none. Index: device_sessions_pkey. Safe: changes only rows that still name exactly this session, in order of
-- their ids; time never moves back.
-- Each row is looked up by its key: joined, the planner takes the gateway's name for selective, reads all sessions and
-- holds each against the whole list (800 ms instead of 5 ms at 15,000 sessions).
UPDATE device_sessions AS s
SET last_activity_at = l.activity
FROM (
    SELECT k.device_id, greatest(k.last_activity_at, now() - c.ago * interval '1 millisecond') AS activity
    FROM (SELECT * FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS c (device_id, session, ago) ORDER BY device_id) AS c
    CROSS JOIN LATERAL (
        SELECT h.device_id, h.last_activity_at
        FROM device_sessions AS h
        WHERE h.device_id = c.device_id AND h.session = c.session AND h.gateway = $1 AND h.incarnation = $2
        OFFSET 0
        FOR UPDATE
    ) AS k
) AS l
WHERE s.device_id = l.device_id
