-- Ends parked items of a job that was cancelled or is past its deadline, and counts them, in one statement.
-- $1 bigint job, $2 integer items at most, $3 text item state (cancelled or failed), $4 text error code,
-- $5 text error text
-- Returns one row: how many items were ended; 0 when none is left. Index: waiting_job, work_items by its key.
-- Safe against unpark_devices: each waiting row is deleted once, and it leaves jobs that are ending alone.
WITH ending AS (
    SELECT job FROM jobs
    WHERE job = $1::bigint AND (state = 'cancelling' OR state = 'running' AND expired_at IS NOT NULL)
), picked AS (
    SELECT w.device_id FROM waiting w, ending
    WHERE w.job = $1 ORDER BY w.seq LIMIT $2::integer
    FOR UPDATE OF w
), woken AS (
    DELETE FROM waiting w USING picked p
    WHERE w.device_id = p.device_id AND w.job = $1
    RETURNING w.slot, w.seq
), result AS (
    UPDATE work_items i
    SET state = $3::text::item_state, updated_at = clock_timestamp(), error_code = $4::text, error_text = $5::text
    FROM woken w
    WHERE i.slot = w.slot AND i.job = $1 AND i.seq = w.seq AND i.state = 'pending'
    RETURNING i.seq
), tally AS (
    SELECT count(*) AS ended FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, failed, cancelled)
    SELECT $1, 0, CASE $3 WHEN 'failed' THEN ended ELSE 0 END, CASE $3 WHEN 'cancelled' THEN ended ELSE 0 END
    FROM tally WHERE ended > 0
    ON CONFLICT (job, shard) DO UPDATE
    SET failed = c.failed + excluded.failed, cancelled = c.cancelled + excluded.cancelled
)
SELECT ended FROM tally
