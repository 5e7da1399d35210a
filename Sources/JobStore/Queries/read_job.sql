-- One job with its statistics, from one snapshot.
-- $1 text job id
-- Returns the job's row or none. Index: jobs (job_id).
SELECT j.job, j.job_id, j.type, j.query_condition, j.action, j.request_digest, j.state::text AS state, j.reason,
       (extract(epoch FROM j.created_at) * 1000000)::bigint AS created,
       (extract(epoch FROM j.start_at) * 1000000)::bigint AS start,
       (extract(epoch FROM j.ended_at) * 1000000)::bigint AS ended,
       (extract(epoch FROM j.deadline) * 1000000)::bigint AS deadline,
       j.max_execution_seconds, s.devices, s.pending, s.running, s.succeeded, s.failed, s.cancelled
FROM jobs j
JOIN job_statistics s USING (job)
WHERE j.job_id = $1::text
