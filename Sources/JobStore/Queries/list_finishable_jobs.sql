-- Live jobs whose last batch may be closed.
-- $1 integer limit
-- Returns jobs; finish_job judges. Index: jobs_live, work_batches_live, waiting_job. One look per job: NOT EXISTS may
-- become a join that reads all batches and their dead rows, and without the order a scan of a table looks cheap.
SELECT j.job
FROM jobs j
WHERE (j.state = 'running' AND j.expanded_at IS NOT NULL OR j.state = 'cancelling')
  AND (SELECT b.batch FROM work_batches b WHERE b.job = j.job AND b.state <> 'closed' ORDER BY b.batch LIMIT 1) IS NULL
  AND (SELECT w.seq FROM waiting w WHERE w.job = j.job ORDER BY w.seq LIMIT 1) IS NULL
ORDER BY j.job
LIMIT $1::integer
