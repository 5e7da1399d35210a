-- Running jobs whose device set is not complete.
-- $1 integer limit
-- Returns job, job id, type, condition, epoch and slot. Index: jobs_live.
SELECT job, job_id, type, query_condition, epoch, slot
FROM jobs WHERE state = 'running' AND expanded_at IS NULL
ORDER BY job LIMIT $1::integer
