-- How long several jobs took together: from the first creation to the last end.
-- $1 text[] job ids
-- Returns one row: seconds. Index: jobs by job_id.
SELECT extract(epoch FROM max(ended_at) - min(created_at))::float8 AS seconds
FROM jobs
WHERE job_id = ANY ($1::text[])
