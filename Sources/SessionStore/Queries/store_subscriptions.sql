-- Keeps the subscriptions of sessions that outlive their connection.
-- $1 text: gateway; $2 text: its incarnation; $3 text[]: device ids, each once; $4 bigint[]: session numbers;
-- $5 text[]: the subscriptions of each, as words with commas between.
-- Rows: none. Index: device_sessions_pkey. Safe: changes only rows that still name exactly this session, in order of
-- their ids; repeating it changes nothing.
UPDATE device_sessions AS s
SET subscriptions = array_prepend('kept', l.words)
FROM (
    SELECT k.device_id, string_to_array(c.words, ',') AS words
    FROM unnest($3::text[], $4::bigint[], $5::text[]) AS c (device_id, session, words)
    JOIN device_sessions AS k ON k.device_id = c.device_id AND k.session = c.session
    WHERE k.gateway = $1 AND k.incarnation = $2
    ORDER BY k.device_id
    FOR UPDATE OF k
) AS l
WHERE s.device_id = l.device_id
