-- Records outcomes of direct methods: items, counters and the batch's state in one statement and one commit.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer counter shard, $6 integer[] seqs in
-- their order; and of each, at its place: $7 jsonb array of responses or nulls, $8 jsonb array of error codes or nulls, $9
-- jsonb array of error texts or nulls. Both are empty when all calls succeeded.
-- Returns one row: succeeded, failed and what is still open; open is null when the lease was lost (nothing changed).
-- The epoch is not tested: a call that was in flight when the job was cancelled is recorded when it answers.
-- Index: work_items by its key, between the least and the greatest seq. The place of an item is looked up in the seqs by
-- halving, and an element of a jsonb array by its number; nothing is joined, so no plan can read the job's items once for
-- each outcome. (An object by seq costs 0.6 µs more an item; in an array of texts each look would cost its length.)
-- Where the seqs lie far apart, `among` names them to the index instead. The positions stand in subqueries and the
-- partition is named, so that the plan is a kept one (as in patch_batch).
-- Safe: the batch's row is locked and its fence tested on the newest version; an item is written while it is pending.
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
    FOR UPDATE
), result AS (
    UPDATE /*items:*/ work_items /*:items*/ i
    SET state = CASE WHEN $8::jsonb ->> (width_bucket(i.seq, $6::integer[]) - 1) IS NULL
                     THEN 'succeeded'::item_state ELSE 'failed'::item_state END,
        error_code = $8 ->> (width_bucket(i.seq, $6) - 1),
        error_text = $9::jsonb ->> (width_bucket(i.seq, $6) - 1),
        response = nullif($7::jsonb -> (width_bucket(i.seq, $6) - 1), 'null'),
        attempt = i.attempt + 1, updated_at = clock_timestamp()
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.batch = $2 AND i.state = 'pending'
      AND i.seq BETWEEN (SELECT ($6::integer[])[1]) AND (SELECT $6[cardinality($6)])
      AND /*among:*/ i.seq = ANY ($6) /*:among*/
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
