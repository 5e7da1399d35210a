-- The dispatches of a batch under earlier claims, and whether each gateway incarnation still lives.
-- $1 bigint job, $2 integer batch, $3 bigint the caller's fence
-- Returns gateway, incarnation, seqs, send_before, response_ms, is_alive; oldest first. Index: dispatches_pkey.
SELECT d.gateway, d.incarnation, d.seqs, d.send_before, d.response_ms, g.gateway IS NOT NULL AS is_alive
FROM dispatches d
LEFT JOIN gateways g ON g.gateway = d.gateway AND g.incarnation = d.incarnation
WHERE d.job = $1::bigint AND d.batch = $2::integer AND d.fence < $3::bigint
ORDER BY d.dispatch
