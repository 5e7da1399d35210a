-- After a restore or an asynchronous failover: takes all work out of the hands of earlier lives, and ends as unknown what
-- their devices may have been called for.
-- $1 boolean whether items without a recorded dispatch are called again, $2 text error code, $3 text error text of items
-- with a dispatch, $4 text of items that may have been dispatched in commits that are lost, $5 bigint by which fences
-- rise, $6 integer by which epochs rise, $7 text actor, $8 text reason of jobs that end here
-- Returns a row per job that had not ended: job_id, type, state now, unknown items, how many of them had a dispatch,
-- batches taken back. Indexes: jobs_due, jobs_live, work_batches_live, work_items and dispatches by job.
-- A method job that runs, or whose time to start has come, may have called any of its open devices in commits that are
-- lost. If its device set is not complete, it may have called devices that are not even in it; such a job ends as failed.
-- After a cancel or the deadline nothing is sent, so of such jobs only dispatches count.
-- Dispatches are looked up and not joined: the planner expects few items, and would read all of them for each item.
-- Safe to repeat: what has an outcome keeps it. It runs while no role does; jobs are locked first all the same.
WITH job AS MATERIALIZED (
    SELECT j.job, j.slot, j.type = 'scheduleDeviceMethod' AS calls,
           j.type = 'scheduleDeviceMethod' AND NOT $1::boolean
               AND (j.state = 'running' AND j.expired_at IS NULL
                    OR j.state IN ('scheduled', 'queued') AND j.start_at <= clock_timestamp()) AS stops
    FROM jobs j
    WHERE j.state IN ('scheduled', 'queued') OR j.state IN ('running', 'cancelling')
    ORDER BY j.job
    FOR UPDATE
), dispatched AS MATERIALIZED (
    SELECT DISTINCT d.job, d.batch, s.seq
    FROM job
    JOIN dispatches d USING (job)
    CROSS JOIN unnest(d.seqs) AS s (seq)
), result AS (
    UPDATE work_items i
    SET state = 'failed', updated_at = now(), error_code = $2::text,
        (attempt, error_text) = (
            SELECT CASE WHEN sent THEN i.attempt + 1 ELSE i.attempt END, CASE WHEN sent THEN $3::text ELSE $4::text END
            FROM (SELECT (i.job, i.batch, i.seq) IN (SELECT job, batch, seq FROM dispatched) AS sent) AS o)
    FROM job j
    WHERE j.calls AND i.slot = j.slot AND i.job = j.job AND i.state = 'pending'
      AND (j.stops OR (i.job, i.batch, i.seq) IN (SELECT job, batch, seq FROM dispatched))
    RETURNING i.job, i.batch, i.error_text = $3 AS sent
), tally AS MATERIALIZED (
    SELECT job, batch, count(*) AS ended, count(*) FILTER (WHERE sent) AS sent FROM result GROUP BY job, batch
), total AS MATERIALIZED (
    SELECT job, sum(ended)::bigint AS ended, sum(sent)::bigint AS sent FROM tally GROUP BY job
), counted AS (
    INSERT INTO job_counters AS c (job, shard, failed)
    SELECT job, 0, ended FROM total
    ON CONFLICT (job, shard) DO UPDATE SET failed = c.failed + excluded.failed
), settled AS (
    UPDATE work_batches b
    SET open = b.open - w.ended, state = CASE WHEN b.open = w.ended THEN 'closed' ELSE 'ready' END::batch_state,
        fence = b.fence + $5::bigint, worker = NULL, claimed_at = NULL
    FROM (SELECT b.job, b.batch, b.state, coalesce(t.ended, 0) AS ended
          FROM job
          JOIN work_batches b USING (job)
          LEFT JOIN tally t USING (job, batch)
          WHERE b.state <> 'closed') w
    WHERE b.job = w.job AND b.batch = w.batch
    RETURNING b.job, w.state = 'claimed' AS was_claimed
), woken AS (
    DELETE FROM waiting w USING job j WHERE w.job = j.job AND j.stops
), resolved AS (
    DELETE FROM dispatches d USING job j WHERE d.job = j.job
), raised AS (
    UPDATE jobs j
    SET epoch = j.epoch + $6::integer,
        state = CASE WHEN o.stops AND j.expanded_at IS NULL THEN 'failed' ELSE j.state END,
        reason = CASE WHEN o.stops AND j.expanded_at IS NULL THEN $8::text ELSE j.reason END,
        ended_at = CASE WHEN o.stops AND j.expanded_at IS NULL THEN now() ELSE j.ended_at END
    FROM job o
    WHERE j.job = o.job
    RETURNING j.job, j.job_id, j.type, j.state, j.epoch
), account AS MATERIALIZED (
    SELECT r.*, coalesce(t.ended, 0) AS unknown, coalesce(t.sent, 0) AS dispatched,
           (SELECT count(*) FROM settled s WHERE s.job = r.job AND s.was_claimed) AS batches
    FROM raised r
    LEFT JOIN total t USING (job)
), event AS (
    INSERT INTO job_events (job, actor, kind, detail)
    SELECT job, $7::text, 'recovered',
           jsonb_build_object('state', state, 'epoch', epoch, 'unknown', unknown, 'dispatched', dispatched,
                              'batchesTakenBack', batches)
    FROM account
)
SELECT job, job_id, type, state::text AS state, unknown, dispatched, batches FROM account ORDER BY job
