-- Strikes the deadline of running jobs: raises the epoch, so that results that have not committed are refused. A job
-- whose device set is not complete is expanded first, so that each device gets its reason.
-- $1 text actor
-- Returns the expired jobs. Index: jobs_live. Safe when two leaders run it: expired_at is set once.
WITH expired AS (
    UPDATE jobs SET expired_at = clock_timestamp(), epoch = epoch + 1
    WHERE state = 'running' AND expired_at IS NULL AND expanded_at IS NOT NULL AND deadline <= clock_timestamp()
    RETURNING job
), event AS (
    INSERT INTO job_events (job, actor, kind) SELECT job, $1::text, 'expired' FROM expired
)
SELECT job FROM expired
