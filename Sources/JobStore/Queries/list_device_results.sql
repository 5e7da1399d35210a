-- A page of per-device results, ordered by job and device (seq is in device order).
-- $1 bigint job and $2 integer seq of the last row of the page before, or null, $3 integer limit, $4 text[] the ids of
-- the only jobs that can match, or null; the condition's parameters follow
-- Returns one row per device. The condition is the query compiler's output over j (jobs), i (work_items) and
-- b (work_batches); user text is only in its parameters.
-- Index: jobs_job_id_key, then for each job one ordered walk of work_items (slot, job, seq), which ends at the limit. A
-- plain join sorts all the job's items for every page: 65 ms against 0.2 ms at 200,000 items.
SELECT r.*
FROM jobs j
CROSS JOIN LATERAL (
    SELECT j.job, j.job_id, j.type, i.device_id, i.state::text AS state,
           coalesce(b.state = 'claimed', false) AS claimed,
           (extract(epoch FROM coalesce(j.started_at, j.start_at)) * 1000000)::bigint AS start,
           (extract(epoch FROM j.deadline) * 1000000)::bigint AS deadline,
           (extract(epoch FROM i.created_at) * 1000000)::bigint AS created,
           (extract(epoch FROM i.updated_at) * 1000000)::bigint AS updated,
           i.seq, i.error_code, i.error_text, i.response
    FROM work_items i
    LEFT JOIN work_batches b ON b.job = i.job AND b.batch = i.batch
    WHERE i.slot = j.slot AND i.job = j.job
      AND i.seq > CASE WHEN j.job = $1::bigint THEN $2::integer ELSE -1 END
      AND (/*condition:*/ true /*:condition*/)
    ORDER BY i.seq
    LIMIT $3::integer) r
WHERE ($4::text[] IS NULL OR j.job_id = ANY ($4)) AND j.job >= coalesce($1, 0)
ORDER BY r.job, r.seq
LIMIT $3::integer
