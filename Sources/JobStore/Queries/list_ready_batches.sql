-- Ready batches of running jobs, and of cancelled ones those with dispatches, to be offered to the workers again. An
-- offer that Redis knows already changes nothing.
-- $1 bigint job and $2 integer batch of the last row of the page before, $3 integer limit, $4 bigint the last job
-- Returns job and batch in key order. Index: work_batches_live, from the first live job on: before it stand only the dead
-- rows of jobs that have ended; and dispatches_pkey, by a range so that no plan hashes all dispatches.
SELECT b.job, b.batch
FROM work_batches b
JOIN jobs j USING (job)
WHERE b.state = 'ready' AND b.job <= $4::bigint
  AND (b.job, b.batch) > (greatest($1::bigint,
                                   (SELECT coalesce(min(live.job) - 1, 9223372036854775807) FROM jobs live
                                    WHERE live.state IN ('running', 'cancelling'))), $2::integer)
  AND j.expired_at IS NULL
  AND (j.state = 'running'
       OR j.state = 'cancelling' AND EXISTS (SELECT FROM dispatches d
                                              WHERE d.job = b.job AND d.batch BETWEEN b.batch AND b.batch))
ORDER BY b.job, b.batch
LIMIT $3::integer
