-- What a worker needs to know of a job before it works on its first batch.
-- $1 bigint job
-- Returns one row or none.
SELECT job, job_id, type, action FROM jobs WHERE job = $1::bigint
