-- Live jobs whose last batch may be closed.
-- $1 integer limit
-- Returns jobs; finish_job judges. Index: jobs_live, work_batches_live.
SELECT j.job
FROM jobs j
WHERE (j.state = 'running' AND j.expanded_at IS NOT NULL OR j.state = 'cancelling')
  AND NOT EXISTS (SELECT FROM work_batches b WHERE b.job = j.job AND b.state <> 'closed')
  AND NOT EXISTS (SELECT FROM waiting w WHERE w.job = j.job)
ORDER BY j.job
LIMIT $1::integer
