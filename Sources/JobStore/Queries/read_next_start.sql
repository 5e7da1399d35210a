-- Milliseconds until the next event that only the clock brings: a start or a deadline.
-- Returns one row; null when there is none. Index: jobs_due, jobs_live.
-- What is due and cannot happen yet (a start while too many jobs run, the deadline of a job that is still expanded) is no
-- such event, or the leader would do nothing but ask.
SELECT (extract(epoch FROM min(at) - clock_timestamp()) * 1000)::bigint AS wait
FROM (
    (SELECT start_at AS at FROM jobs WHERE state = 'scheduled' ORDER BY start_at LIMIT 1)
    UNION ALL
    (SELECT min(deadline) FROM jobs
     WHERE state = 'running' AND expired_at IS NULL AND expanded_at IS NOT NULL
        OR state = 'cancelling' AND deadline > clock_timestamp())
) next
