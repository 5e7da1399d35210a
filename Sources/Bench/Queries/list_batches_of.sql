-- What a worker held when it was killed.
-- $1 text worker
-- Returns job, batch and fence in key order. Index: work_batches_live.
SELECT job, batch, fence FROM work_batches WHERE worker = $1::text AND state = 'claimed' ORDER BY job, batch
