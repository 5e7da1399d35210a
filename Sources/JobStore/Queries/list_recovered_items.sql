-- The items that recover_jobs ended in this transaction, by the time that the transaction carries.
-- $1 bigint[] jobs that have such items, $2 text error code, $3 text error text of items with a dispatch, $4 integer limit
-- Returns job_id, seq, device_id and whether a dispatch was recorded, in order. Index: work_items by job.
SELECT j.job_id, i.seq, i.device_id, i.error_text = $3::text AS sent
FROM jobs j
JOIN work_items i ON i.slot = j.slot AND i.job = j.job
WHERE j.job = ANY ($1::bigint[]) AND i.state = 'failed' AND i.error_code = $2::text AND i.updated_at = now()
ORDER BY j.job, i.seq
LIMIT $4::integer
