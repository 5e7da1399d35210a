-- Calls of a job that were dispatched by the holders of its batches and have no outcome yet.
-- $1 text job id
-- Returns one row: calls. Index: jobs by job_id, work_batches_live, dispatches_pkey.
SELECT coalesce(sum(b.open), 0)::bigint AS calls
FROM jobs j
JOIN work_batches b USING (job)
WHERE j.job_id = $1::text AND b.state = 'claimed'
  AND EXISTS (SELECT FROM dispatches d WHERE d.job = b.job AND d.batch = b.batch AND d.fence = b.fence)
