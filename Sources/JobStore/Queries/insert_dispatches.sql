-- Commits what a worker is about to hand to gateways: one row for each part.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 text[] gateways, $5 text[] incarnations, $6 text[] of the seqs of
-- each, as an array is written (1.07 µs an item as jsonb, 0.88 so), $7 bigint send_before, $8 integer response timeout in
-- ms, $9 integer the least time in ms that must be left to the deadline
-- Returns one row: the gateways, as name~incarnation, that something may be handed to; the others are not among the
-- living, and what they were handed would be unknown at once. No row when the batch is no longer the caller's, the job
-- was cancelled or paused since the claim, or too little time is left: then nothing may be sent.
-- Safe: the batch's row is locked, so a sweep or an end comes before or after, and the epoch is read from the commit's
-- own snapshot: nothing is dispatched that a cancel acknowledged before could forbid (invariant I7).
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    JOIN jobs j USING (job)
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
      AND j.epoch = b.epoch AND j.state = 'running'
      AND j.deadline > clock_timestamp() + $9::integer * interval '1 millisecond'
    FOR UPDATE OF b
), dispatched AS (
    INSERT INTO dispatches (job, batch, fence, gateway, incarnation, seqs, send_before, response_ms)
    SELECT $1, $2, $3, p.gateway, p.incarnation, p.seqs::integer[], $7::bigint, $8::integer
    FROM held, unnest($4::text[], $5::text[], $6::text[]) AS p (gateway, incarnation, seqs)
    JOIN gateways g USING (gateway, incarnation)
    RETURNING gateway, incarnation
)
SELECT ARRAY(SELECT gateway || '~' || incarnation FROM dispatched) AS gateways FROM held
