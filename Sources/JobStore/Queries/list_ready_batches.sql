-- Ready batches of running jobs, to be offered to the workers again. An offer that Redis knows already changes nothing.
-- $1 bigint job and $2 integer batch of the last row of the page before, $3 integer limit
-- Returns job and batch in key order. Index: work_batches_live.
SELECT b.job, b.batch
FROM work_batches b
JOIN jobs j USING (job)
WHERE b.state = 'ready' AND (b.job, b.batch) > ($1::bigint, $2::integer)
  AND j.state = 'running' AND j.expired_at IS NULL
ORDER BY b.job, b.batch
LIMIT $3::integer
