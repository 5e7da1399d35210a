-- Stores an accepted job and its first event. A job id that is taken changes nothing.
-- $1 text job id, $2 text type, $3 text query condition, $4 jsonb action, $5 bytea digest of the request,
-- $6 bigint start in microseconds since 1970 or null for now, $7 bigint maximum execution time in seconds, $8 text actor
-- Returns the job as it was accepted, as read_job does; no row when the id is taken. Not read afterwards: by then the
-- leader may have begun it.
-- Safe when two run at once: the unique index on job_id decides.
WITH accepted AS (
    -- One reading of the clock: with two, a job without a start time would start in its own future now and then.
    SELECT at, coalesce(timestamptz 'epoch' + $6::bigint * interval '1 microsecond', at) AS start_at
    FROM (SELECT clock_timestamp() AS at) now
), inserted AS (
    INSERT INTO jobs (job_id, type, query_condition, action, request_digest, state, created_at, start_at,
                      max_execution_seconds, deadline)
    SELECT $1::text, $2::text, $3::text, $4::jsonb, $5::bytea,
           CASE WHEN start_at > at THEN 'scheduled' ELSE 'queued' END::job_state, at, start_at,
           $7::bigint, greatest(start_at, at) + $7::bigint * interval '1 second'
    FROM accepted
    ON CONFLICT (job_id) DO NOTHING
    RETURNING *
), event AS (
    INSERT INTO job_events (job, actor, kind) SELECT job, $8::text, 'created' FROM inserted
)
SELECT job, job_id, type, query_condition, action, state::text AS state, reason,
       (extract(epoch FROM created_at) * 1000000)::bigint AS created,
       (extract(epoch FROM start_at) * 1000000)::bigint AS start,
       (extract(epoch FROM ended_at) * 1000000)::bigint AS ended,
       (extract(epoch FROM deadline) * 1000000)::bigint AS deadline,
       max_execution_seconds, 0::bigint AS devices, 0::bigint AS pending, 0::bigint AS running, 0::bigint AS succeeded,
       0::bigint AS failed, 0::bigint AS cancelled
FROM inserted
