-- Records outcomes of direct methods: items, counters and the batch's state in one statement and one commit.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer counter shard, $6 integer[] seqs,
-- $7 text[] states (succeeded or failed), $8 text[] error codes or null, $9 text[] error texts or null,
-- $10 text[] responses as JSON or null
-- Returns one row: succeeded, failed and what is still open; open is null when the lease was lost (nothing changed).
-- The epoch is not tested: a call that was in flight when the job was cancelled is recorded when it answers.
-- Index: work_items by its key, between the least and the greatest seq. The outcomes are looked up in the arrays and not
-- joined, so no plan can read the job's items once for each outcome.
-- Safe: the batch's row is locked and its fence tested on the newest version; an item is written while it is pending.
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
    FOR UPDATE
), result AS (
    UPDATE work_items i
    SET (state, error_code, error_text, response) =
            (SELECT ($7::text[])[n]::item_state, ($8::text[])[n], ($9::text[])[n], ($10::text[])[n]::jsonb
             FROM array_position($6::integer[], i.seq) AS n),
        attempt = i.attempt + 1, updated_at = clock_timestamp()
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.batch = $2 AND i.state = 'pending' AND i.seq = ANY ($6)
      AND i.seq BETWEEN (SELECT min(seq) FROM unnest($6) AS seq) AND (SELECT max(seq) FROM unnest($6) AS seq)
      AND EXISTS (SELECT FROM held)
    RETURNING i.state
), tally AS (
    SELECT count(*) FILTER (WHERE state = 'succeeded') AS succeeded, count(*) FILTER (WHERE state = 'failed') AS failed
    FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, succeeded, failed)
    SELECT $1, $5::integer, succeeded, failed FROM tally WHERE succeeded + failed > 0
    ON CONFLICT (job, shard) DO UPDATE
    SET succeeded = c.succeeded + excluded.succeeded, failed = c.failed + excluded.failed
), settled AS (
    UPDATE work_batches b
    SET open = b.open - (succeeded + failed),
        state = CASE WHEN b.open = succeeded + failed THEN 'closed' ELSE b.state END
    FROM tally
    WHERE b.job = $1 AND b.batch = $2 AND b.fence = $3 AND EXISTS (SELECT FROM held)
    RETURNING b.open
)
SELECT tally.succeeded, tally.failed, settled.open
FROM tally LEFT JOIN settled ON true
