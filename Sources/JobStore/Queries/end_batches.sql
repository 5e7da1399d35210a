-- Ends the open items of some batches of a job that was cancelled or is past its deadline: raises the fence, writes the
-- outcomes and counts them, in one statement.
-- $1 bigint job, $2 integer batches at most, $3 text item state (cancelled or failed), $4 text error code,
-- $5 text error text
-- Returns one row: batches closed and items ended; 0 batches when none is left. Index: work_batches_live.
-- A claimed batch of a cancelled method job is left to its worker, whose calls in flight are recorded when they answer;
-- the worker gives the rest back, or the sweep does.
-- Safe against results: both lock the batch's row; whoever comes second sees the fence or the outcome of the first.
WITH ending AS (
    SELECT job, slot, type = 'scheduleDeviceMethod' AND state = 'cancelling' AS has_calls FROM jobs
    WHERE job = $1::bigint AND (state = 'cancelling' OR state = 'running' AND expired_at IS NOT NULL)
), picked AS MATERIALIZED (
    SELECT b.batch, b.first_seq, b.last_seq
    FROM work_batches b, ending
    WHERE b.job = $1 AND b.state <> 'closed' AND NOT (has_calls AND b.state = 'claimed')
    ORDER BY b.batch
    LIMIT $2::integer
    FOR UPDATE OF b
), result AS (
    UPDATE work_items i
    SET state = $3::text::item_state, updated_at = clock_timestamp(), error_code = $4::text, error_text = $5::text
    FROM picked p
    WHERE i.slot = (SELECT slot FROM ending) AND i.job = $1 AND i.seq BETWEEN p.first_seq AND p.last_seq
      AND i.batch = p.batch AND i.state = 'pending'
    RETURNING i.seq
), tally AS (
    SELECT count(*) AS ended FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, failed, cancelled)
    SELECT $1, 0, CASE $3 WHEN 'failed' THEN ended ELSE 0 END, CASE $3 WHEN 'cancelled' THEN ended ELSE 0 END
    FROM tally WHERE ended > 0
    ON CONFLICT (job, shard) DO UPDATE
    SET failed = c.failed + excluded.failed, cancelled = c.cancelled + excluded.cancelled
), closed AS (
    UPDATE work_batches b SET state = 'closed', open = 0, fence = b.fence + 1
    FROM picked p WHERE b.job = $1 AND b.batch = p.batch
    RETURNING b.batch
)
SELECT (SELECT count(*) FROM closed) AS batches, tally.ended AS items FROM tally
