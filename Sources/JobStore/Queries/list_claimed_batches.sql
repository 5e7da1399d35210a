-- Claimed batches of live jobs, for the sweep to hold against the leases.
-- $1 bigint job and $2 integer batch of the last row of the page before, $3 integer limit
-- Returns job, batch, fence and worker in key order. Index: work_batches_live, from the first live job on: before it
-- stand only the dead rows of jobs that have ended.
SELECT b.job, b.batch, b.fence, b.worker
FROM work_batches b
WHERE b.state = 'claimed' 
  AND (b.job, b.batch) > (greatest($1::bigint,
                                   (SELECT coalesce(min(live.job) - 1, 9223372036854775807) FROM jobs live
                                    WHERE live.state IN ('running', 'cancelling'))), $2::integer)
ORDER BY b.job, b.batch
LIMIT $3::integer
