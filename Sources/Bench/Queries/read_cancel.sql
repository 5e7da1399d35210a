-- When a job was cancelled, and when its last item got an outcome of its own.
-- $1 text job id
-- Returns one row: cancelled, touched (null if there is none) and ended, in seconds since 1970. Reads all items of the job:
-- for a job that has ended.
SELECT (SELECT extract(epoch FROM max(e.at)) FROM job_events e
        WHERE e.job = j.job AND e.kind = 'cancelling')::float8 AS cancelled,
       (SELECT extract(epoch FROM max(i.updated_at)) FROM work_items i
        WHERE i.slot = j.slot AND i.job = j.job AND i.state IN ('succeeded', 'failed'))::float8 AS touched,
       extract(epoch FROM j.ended_at)::float8 AS ended
FROM jobs j
WHERE j.job_id = $1::text
