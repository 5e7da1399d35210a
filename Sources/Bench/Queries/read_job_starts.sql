-- When the first device of a job was touched, and when the job ended, by the server's clock.
-- $1 text job id
-- Returns one row: first_touched and ended in seconds since 1970, null while they have not come. Index: jobs by job_id,
-- work_items by its key; meant for small jobs.
SELECT (SELECT extract(epoch FROM min(i.updated_at)) FROM work_items i
        WHERE i.slot = j.slot AND i.job = j.job AND i.state <> 'pending')::float8 AS first_touched,
       extract(epoch FROM j.ended_at)::float8 AS ended
FROM jobs j
WHERE j.job_id = $1::text
