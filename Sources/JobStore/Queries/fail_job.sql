-- Ends a running job that cannot run at all, before it has any item.
-- $1 bigint job, $2 text reason, $3 text actor
-- Returns the job, or no row when it is not running or has items.
WITH failed AS (
    UPDATE jobs SET state = 'failed', reason = $2::text, ended_at = clock_timestamp(), epoch = epoch + 1
    WHERE job = $1::bigint AND state = 'running' AND NOT EXISTS (SELECT FROM expansions e WHERE e.job = $1)
    RETURNING job
), event AS (
    INSERT INTO job_events (job, actor, kind, detail)
    SELECT job, $3::text, 'ended', jsonb_build_object('reason', $2::text) FROM failed
)
SELECT job FROM failed
