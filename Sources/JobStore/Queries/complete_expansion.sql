-- Marks the device set of a job as complete.
-- $1 bigint job, $2 integer epoch, $3 text actor, $4 jsonb detail for the event
-- Returns the job, or no row when it was cancelled meanwhile or is marked already.
WITH completed AS (
    UPDATE jobs SET expanded_at = clock_timestamp()
    WHERE job = $1::bigint AND epoch = $2::integer AND state = 'running' AND expanded_at IS NULL
    RETURNING job
), event AS (
    INSERT INTO job_events (job, actor, kind, detail) SELECT job, $3::text, 'expanded', $4::jsonb FROM completed
)
SELECT job FROM completed
