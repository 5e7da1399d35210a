-- Forgets the dispatches of a batch whose holder knows the fate of each call: answered and recorded, or certainly not
-- sent. What is left of a batch that goes back is then what must be asked about.
-- $1 bigint job, $2 integer batch, $3 bigint fence
-- Returns nothing. Index: dispatches_pkey. Safe: nothing is deleted unless the batch is still the caller's, whose own
-- dispatches are the newest.
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
    FOR UPDATE
)
DELETE FROM dispatches d
WHERE d.job = $1 AND d.batch = $2 AND EXISTS (SELECT FROM held)
