-- Keeps the subscriptions of sessions that outlive their connection.
-- $1 text: gateway; $2 text: its incarnation; $3 text[]: device ids, each once; $4 bigint[]: session numbers;
-- $5 text[]: the subscriptions of each, as words with commas between.
-- Rows: none. Index: device_sessions_pkey. Safe: changes only rows that still name exactly this session, in order of
-- their ids; repeating it changes nothing.
-- Each row is looked up by its key: joined, the planner takes the gateway's name for selective, reads all sessions and
-- holds each against the whole list (800 ms instead of 5 ms at 15,000 sessions).
UPDATE device_sessions AS s
SET subscriptions = array_prepend('kept', l.words)
FROM (
    SELECT k.device_id, string_to_array(c.words, ',') AS words
    FROM (SELECT * FROM unnest($3::text[], $4::bigint[], $5::text[]) AS c (device_id, session, words) ORDER BY device_id) AS c
    CROSS JOIN LATERAL (
        SELECT h.device_id
        FROM device_sessions AS h
        WHERE h.device_id = c.device_id AND h.session = c.session AND h.gateway = $1 AND h.incarnation = $2
        OFFSET 0
        FOR UPDATE
    ) AS k
) AS l
WHERE s.device_id = l.device_id
