-- Jobs whose open items have to be ended: cancelled or past their deadline.
-- $1 integer limit
-- Returns job and state. Index: jobs_live.
SELECT job, state::text AS state
FROM jobs
WHERE state = 'cancelling' OR state = 'running' AND expired_at IS NOT NULL
ORDER BY job
LIMIT $1::integer
