-- Cancels a job. The commit of this statement is the acknowledgement: the epoch is raised, so nothing claimed before
-- may record a twin result any more. A running job goes to 'cancelling', and the leader ends its items in chunks.
-- $1 text job id, $2 text actor, $3 boolean whether a running job may be cancelled
-- Returns the new state, or no row when the job is unknown or in a state that does not allow it.
-- Safe against the start and the finish of the job: both lock the same row and test its state.
WITH changed AS (
    UPDATE jobs
    SET state = CASE state WHEN 'running' THEN 'cancelling' ELSE 'cancelled' END::job_state,
        ended_at = CASE state WHEN 'running' THEN NULL ELSE clock_timestamp() END,
        epoch = epoch + 1,
        reason = 'cancelled by ' || $2::text
    WHERE job_id = $1::text AND (state IN ('scheduled', 'queued') OR $3::boolean AND state = 'running')
    RETURNING job, state
), event AS (
    INSERT INTO job_events (job, actor, kind) SELECT job, $2::text, state::text FROM changed
)
SELECT job, state::text AS state FROM changed
