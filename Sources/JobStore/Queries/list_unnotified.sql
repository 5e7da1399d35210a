-- Batches whose devices may not have been told of their new desired properties: their worker died in between.
-- $1 integer least time since the claim in ms, $2 integer limit
-- Returns job, batch, slot, first_seq, last_seq and the job's action. Index: work_batches_to_notify.
SELECT b.job, b.batch, j.slot, b.first_seq, b.last_seq, j.action
FROM work_batches b
JOIN jobs j USING (job)
WHERE b.to_notify AND b.state <> 'claimed'
  AND coalesce(b.claimed_at, '-infinity') < clock_timestamp() - $1::integer * interval '1 millisecond'
ORDER BY b.job, b.batch
LIMIT $2::integer
