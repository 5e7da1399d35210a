-- When the last calls of a job were dispatched, of those that are not settled yet: to be asked again and again.
-- $1 text job id
-- Returns one row: last in seconds since 1970, null when there is none. Index: jobs by job_id, dispatches_pkey.
SELECT extract(epoch FROM max(d.created_at))::float8 AS last
FROM jobs j
JOIN dispatches d USING (job)
WHERE j.job_id = $1::text
