-- The items of a claimed batch that have no outcome.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot
-- Returns seq, device_id and attempt in order of seq; nothing when the fence is no longer the caller's.
-- Index: work_batches and work_items by their keys. The planner expects one item of a job that it has no statistics of;
-- so the items of a list are looked up one by one, each by the whole key, and no plan can read the job for them. The
-- partition is named, so that the plan is a kept one.
SELECT i.seq, i.device_id, i.attempt
FROM work_batches b
CROSS JOIN LATERAL (
    SELECT w.seq, w.device_id, w.attempt
    FROM /*items:*/ work_items /*:items*/ w
    WHERE b.seqs IS NULL AND w.slot = $4::bigint AND w.job = b.job AND w.seq BETWEEN b.first_seq AND b.last_seq
      AND w.batch = b.batch AND w.state = 'pending'
    UNION ALL
    SELECT w.seq, w.device_id, w.attempt
    FROM unnest(b.seqs) AS s (seq)
    CROSS JOIN LATERAL (
        SELECT * FROM /*items:*/ work_items /*:items*/ WHERE slot = $4 AND job = b.job AND seq = s.seq OFFSET 0
    ) AS w
    WHERE w.batch = b.batch AND w.state = 'pending'
) i
WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
ORDER BY i.seq
