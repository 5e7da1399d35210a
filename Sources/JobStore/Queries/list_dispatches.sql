-- What may have been sent of a batch under earlier claims, for each life of a gateway, and whether that still lives.
-- $1 bigint job, $2 integer batch, $3 bigint the caller's fence
-- Returns gateway, incarnation, seqs, send_before, response_ms (the latest and the longest), is_alive: a row for each life
-- of a gateway, however often the batch was dispatched, and in it at most the batch's items. Index: dispatches_pkey.
SELECT d.gateway, d.incarnation, array_agg(DISTINCT s.seq) AS seqs, max(d.send_before) AS send_before,
       max(d.response_ms) AS response_ms, g.gateway IS NOT NULL AS is_alive
FROM dispatches d
CROSS JOIN unnest(d.seqs) AS s (seq)
LEFT JOIN gateways g ON g.gateway = d.gateway AND g.incarnation = d.incarnation
WHERE d.job = $1::bigint AND d.batch = $2::integer AND d.fence < $3::bigint
GROUP BY d.gateway, d.incarnation, g.gateway
ORDER BY d.gateway, d.incarnation
