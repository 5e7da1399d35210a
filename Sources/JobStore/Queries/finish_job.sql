-- Ends a job whose device set is complete and whose batches are all closed; a job whose devices failed is completed.
-- $1 bigint job, $2 text actor
-- Returns the job's id and final state, or no row when something is still open. Index: jobs, work_batches_live.
-- Safe: the row lock comes first; a chunk of the expansion that has not committed holds it against us.
WITH locked AS MATERIALIZED (
    SELECT job FROM jobs
    WHERE job = $1::bigint AND (state = 'running' AND expanded_at IS NOT NULL OR state = 'cancelling')
    FOR UPDATE
), finished AS (
    UPDATE jobs j
    SET state = CASE j.state WHEN 'cancelling' THEN 'cancelled' ELSE 'completed' END::job_state,
        ended_at = clock_timestamp(), epoch = j.epoch + 1
    FROM locked
    WHERE j.job = locked.job
      AND (SELECT b.batch FROM work_batches b WHERE b.job = $1 AND b.state <> 'closed' ORDER BY b.batch LIMIT 1) IS NULL
      AND (SELECT w.seq FROM waiting w WHERE w.job = $1 ORDER BY w.seq LIMIT 1) IS NULL
    RETURNING j.job, j.job_id, j.state
), event AS (
    INSERT INTO job_events (job, actor, kind, detail)
    SELECT job, $2::text, 'ended', jsonb_build_object('state', state) FROM finished
)
SELECT job_id, state::text AS state FROM finished
