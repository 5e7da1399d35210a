-- Where the expansion of a job stands.
-- $1 bigint job
-- Returns one row: next chunk, last device (null before the first), items and batches written, and the job's state and
-- epoch.
SELECT coalesce(max(e.chunk) + 1, 0) AS next_chunk, max(e.last_device) AS last_device,
       coalesce(sum(e.item_count), 0)::bigint AS items, coalesce(sum(e.batch_count), 0)::bigint AS batches,
       j.state::text AS state, j.epoch, j.slot
FROM jobs j LEFT JOIN expansions e USING (job)
WHERE j.job = $1::bigint
GROUP BY j.job
