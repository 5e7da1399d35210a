-- A page of jobs, newest first, tie by id.
-- $1 text type or null, $2 text[] states or null, $3 bigint created (microseconds) and $4 text id of the last job of the
-- page before, or null, $5 integer limit
-- Returns rows as read_job does. Index: jobs_newest.
SELECT j.job, j.job_id, j.type, j.query_condition, j.action, j.request_digest, j.state::text AS state, j.reason,
       (extract(epoch FROM j.created_at) * 1000000)::bigint AS created,
       (extract(epoch FROM j.start_at) * 1000000)::bigint AS start,
       (extract(epoch FROM j.ended_at) * 1000000)::bigint AS ended,
       (extract(epoch FROM j.deadline) * 1000000)::bigint AS deadline,
       j.max_execution_seconds, s.devices, s.pending, s.running, s.succeeded, s.failed, s.cancelled
FROM (
    SELECT * FROM jobs
    WHERE ($1::text IS NULL OR type = $1)
      AND ($2::text[] IS NULL OR state = ANY ($2::text[]::job_state[]))
      AND ($3::bigint IS NULL
           OR created_at <= timestamptz 'epoch' + $3 * interval '1 microsecond'
              AND (created_at < timestamptz 'epoch' + $3 * interval '1 microsecond' OR job_id > $4::text))
    ORDER BY created_at DESC, job_id
    LIMIT $5::integer
) j
JOIN job_statistics s USING (job)
ORDER BY j.created_at DESC, j.job_id
