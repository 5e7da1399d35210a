-- Which of a worker's batches are still its own, asked after Redis lost the leases.
-- $1 bigint[] jobs, $2 integer[] batches, $3 bigint[] fences (triples)
-- Returns those whose fence is still current.
SELECT b.job, b.batch
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS w (job, batch, fence)
JOIN work_batches b ON b.job = w.job AND b.batch = w.batch AND b.fence = w.fence AND b.state = 'claimed'
