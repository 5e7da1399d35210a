-- Fails open items of one claimed batch with one reason: what is left of a batch that was split down to the items that
-- PostgreSQL itself refuses.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer first seq, $6 integer last seq,
-- $7 integer counter shard, $8 text error code, $9 text error text
-- Returns one row: failed and what is still open; open is null when the lease was lost (nothing changed).
-- Safe as patch_batch is.
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    JOIN jobs j USING (job)
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
      AND j.epoch = b.epoch AND j.state = 'running' AND j.deadline > clock_timestamp()
    FOR UPDATE OF b
), result AS (
    UPDATE work_items i
    SET state = 'failed', attempt = i.attempt + 1, updated_at = clock_timestamp(), error_code = $8::text,
        error_text = $9::text
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.seq BETWEEN $5::integer AND $6::integer AND i.batch = $2
      AND i.state = 'pending' AND EXISTS (SELECT FROM held)
    RETURNING i.seq
), tally AS (
    SELECT count(*) AS failed FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, failed)
    SELECT $1, $7::integer, failed FROM tally WHERE failed > 0
    ON CONFLICT (job, shard) DO UPDATE SET failed = c.failed + excluded.failed
), settled AS (
    UPDATE work_batches b
    SET open = b.open - failed, state = CASE WHEN b.open = failed THEN 'closed' ELSE b.state END
    FROM tally
    WHERE b.job = $1 AND b.batch = $2 AND b.fence = $3 AND EXISTS (SELECT FROM held)
    RETURNING b.open
)
SELECT tally.failed, settled.open
FROM tally LEFT JOIN settled ON true
