-- A page of per-device results, ordered by job and device (seq is in device order).
-- $1 bigint job and $2 integer seq of the last row of the page before, or null, $3 integer limit; the condition's
-- parameters follow
-- Returns one row per device. The condition is the query compiler's output over j (jobs), i (work_items) and
-- b (work_batches); user text is only in its parameters. Index: jobs (job_id), then work_items (slot, job, seq).
SELECT j.job, j.job_id, j.type, i.device_id, i.state::text AS state, coalesce(b.state = 'claimed', false) AS claimed,
       (extract(epoch FROM coalesce(j.started_at, j.start_at)) * 1000000)::bigint AS start,
       (extract(epoch FROM j.deadline) * 1000000)::bigint AS deadline,
       (extract(epoch FROM i.created_at) * 1000000)::bigint AS created,
       (extract(epoch FROM i.updated_at) * 1000000)::bigint AS updated,
       i.seq, i.error_code, i.error_text, i.response
FROM jobs j
JOIN work_items i ON i.slot = j.slot AND i.job = j.job
LEFT JOIN work_batches b ON b.job = i.job AND b.batch = i.batch
WHERE (/*condition:*/ true /*:condition*/)
  AND ($1::bigint IS NULL OR (i.job, i.seq) > ($1, $2::integer))
ORDER BY i.job, i.seq
LIMIT $3::integer
