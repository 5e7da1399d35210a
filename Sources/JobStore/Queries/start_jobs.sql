-- Starts due jobs, oldest first, up to the number that may run at the same time.
-- $1 integer jobs that may run at the same time, $2 text actor
-- Returns the started jobs. Index: jobs_due, jobs_live.
-- Safe when two leaders run it: the row lock and the state decide; each job is started once.
WITH live AS (
    SELECT count(*) AS running FROM jobs WHERE state IN ('running', 'cancelling')
), due AS MATERIALIZED (
    SELECT job FROM jobs
    WHERE state IN ('scheduled', 'queued') AND start_at <= clock_timestamp()
    ORDER BY start_at, job
    LIMIT (SELECT greatest(0, $1::integer - running) FROM live)
    FOR UPDATE SKIP LOCKED
), started AS (
    UPDATE jobs j SET state = 'running', started_at = clock_timestamp()
    FROM due WHERE j.job = due.job
    RETURNING j.job
), event AS (
    INSERT INTO job_events (job, actor, kind) SELECT job, $2::text, 'started' FROM started
)
SELECT job FROM started ORDER BY job
