-- Gives claimed batches back, by their holder (a drain) or by the sweep (the lease is gone). The fence is raised, so
-- that a holder that still believes in its claim can write nothing.
-- $1 bigint[] jobs, $2 integer[] batches, $3 bigint[] fences (triples)
-- Returns the batches that are ready again; others were closed or claimed anew. Index: work_batches (job, batch).
UPDATE work_batches b
SET state = 'ready', fence = b.fence + 1, worker = NULL, claimed_at = NULL
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS w (job, batch, fence)
WHERE b.job = w.job AND b.batch = w.batch AND b.fence = w.fence AND b.state = 'claimed'
RETURNING b.job, b.batch
