-- Ends the open items of some batches of a job that was cancelled or is past its deadline: raises the fence, writes the
-- outcomes and counts them, in one statement.
-- $1 bigint job, $2 integer batches at most, $3 text item state (cancelled or failed), $4 text error code,
-- $5 text error text, $6 and $7 text error code and text of items that may have been sent
-- Returns one row: batches closed and items ended; 0 batches when none is left. Index: work_batches_live,
-- dispatches_pkey.
-- Of a cancelled method job a claimed batch is left to its worker, whose calls in flight are recorded when they answer,
-- and one with dispatches to who claims it to ask; both until the deadline. The worker gives the rest back, or the sweep
-- does. An item with a dispatch that nobody has settled by then has failed with an unknown outcome.
-- Ranges where equalities would do: an equality may be hashed, and then all dispatches, or all items of the job, are read
-- for each chunk of batches.
-- Safe against results: both lock the batch's row; whoever comes second sees the fence or the outcome of the first.
WITH ending AS (
    SELECT job, slot,
           type = 'scheduleDeviceMethod' AND state = 'cancelling' AND deadline > clock_timestamp() AS has_calls
    FROM jobs
    WHERE job = $1::bigint AND (state = 'cancelling' OR state = 'running' AND expired_at IS NOT NULL)
), picked AS MATERIALIZED (
    SELECT b.batch, b.first_seq, b.last_seq
    FROM work_batches b, ending
    WHERE b.job = $1 AND b.state <> 'closed'
      AND NOT (has_calls AND (b.state = 'claimed'
                              OR EXISTS (SELECT FROM dispatches d
                                         WHERE d.job = b.job AND d.batch BETWEEN b.batch AND b.batch)))
    ORDER BY b.batch
    LIMIT $2::integer
    FOR UPDATE OF b
), dispatched AS MATERIALIZED (
    SELECT d.batch, s.seq
    FROM picked p
    JOIN dispatches d ON d.job = $1 AND d.batch = p.batch
    CROSS JOIN unnest(d.seqs) AS s (seq)
), result AS (
    UPDATE work_items i
    SET updated_at = clock_timestamp(),
        (state, error_code, error_text) = (
            SELECT CASE WHEN sent THEN 'failed' ELSE $3::text END::item_state, CASE WHEN sent THEN $6::text ELSE $4 END,
                   CASE WHEN sent THEN $7::text ELSE $5 END
            FROM (SELECT (p.batch, i.seq) IN (SELECT batch, seq FROM dispatched) AS sent) AS o)
    FROM picked p
    WHERE i.slot = (SELECT slot FROM ending) AND i.job = $1 AND i.seq BETWEEN p.first_seq AND p.last_seq
      AND i.batch BETWEEN p.batch AND p.batch AND i.state = 'pending'
    RETURNING i.state
), tally AS (
    SELECT count(*) AS ended, count(*) FILTER (WHERE state = 'failed') AS failed,
           count(*) FILTER (WHERE state = 'cancelled') AS cancelled
    FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, failed, cancelled)
    SELECT $1, 0, failed, cancelled FROM tally WHERE ended > 0
    ON CONFLICT (job, shard) DO UPDATE
    SET failed = c.failed + excluded.failed, cancelled = c.cancelled + excluded.cancelled
), closed AS (
    UPDATE work_batches b SET state = 'closed', open = 0, fence = b.fence + 1
    FROM picked p WHERE b.job = $1 AND b.batch = p.batch
    RETURNING b.batch
)
SELECT (SELECT count(*) FROM closed) AS batches, tally.ended AS items FROM tally
