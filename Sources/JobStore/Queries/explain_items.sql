-- What the open items of a job wait for, in one snapshot.
-- $1 bigint job, $2 integer milliseconds from a dispatch to the last moment at which it may be sent, $3 bigint slot
-- Returns a row per reason and holder: kind (parked, ready, claimed, dispatched), how many items, one of their devices,
-- worker and when it was last heard of, gateway with incarnation and whether that lives, since when, until when an answer
-- can come, the batches; times in microseconds since 1970. Indexes: work_batches_live, dispatches_pkey, waiting_job,
-- work_items by its key. Reads all items; for people.
-- The planner expects few items of a job and would join them by nested loops: to be run without those.
WITH live AS MATERIALIZED (
    SELECT b.batch, b.first_seq, b.last_seq, b.state, b.worker, b.claimed_at
    FROM work_batches b
    WHERE b.job = $1::bigint AND b.state <> 'closed'
), item AS MATERIALIZED (
    SELECT i.batch, i.seq, i.device_id
    FROM work_items i
    WHERE i.slot = $3::bigint AND i.job = $1 AND i.state = 'pending'
), sent AS MATERIALIZED (
    SELECT DISTINCT ON (d.batch, s.seq) d.batch, s.seq, d.gateway || '~' || d.incarnation AS gateway, d.created_at,
           EXISTS (SELECT FROM gateways g WHERE g.gateway = d.gateway AND g.incarnation = d.incarnation) AS lives,
           d.created_at + ($2::integer + d.response_ms) * interval '1 millisecond' AS until
    FROM dispatches d
    CROSS JOIN unnest(d.seqs) AS s (seq)
    WHERE d.job = $1
    ORDER BY d.batch, s.seq, d.dispatch DESC
), open AS (
    SELECT CASE WHEN s.seq IS NOT NULL THEN 'dispatched' ELSE b.state::text END AS kind, i.device_id, b.batch, b.worker,
           s.gateway, s.lives, coalesce(s.created_at, b.claimed_at) AS since, s.until
    FROM item i
    JOIN live b USING (batch)
    LEFT JOIN sent s ON s.batch = i.batch AND s.seq = i.seq
), parked AS (
    SELECT count(*) AS items, (array_agg(w.device_id ORDER BY w.parked_at, w.seq))[1] AS device FROM waiting w
    WHERE w.job = $1
)
SELECT kind, count(*) AS items, min(device_id) AS device, o.worker,
       (SELECT (extract(epoch FROM w.seen_at) * 1000000)::bigint FROM workers w WHERE w.worker = o.worker) AS worker_seen,
       gateway, lives, (extract(epoch FROM min(since)) * 1000000)::bigint AS since,
       (extract(epoch FROM max(until)) * 1000000)::bigint AS until, array_agg(DISTINCT batch) AS batches
FROM open o
GROUP BY kind, o.worker, gateway, lives
UNION ALL
SELECT 'parked', p.items, p.device, NULL, NULL, NULL, s.connected,
       (extract(epoch FROM s.connected_at) * 1000000)::bigint, NULL, NULL
FROM parked p
LEFT JOIN device_sessions s ON s.device_id = p.device
WHERE p.items > 0
ORDER BY 1, 2 DESC, 3
