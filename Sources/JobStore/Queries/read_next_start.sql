-- Milliseconds until the next event that only the clock brings: a start or a deadline.
-- Returns one row; null when there is none. Index: jobs_due, jobs_live.
SELECT (extract(epoch FROM min(at) - clock_timestamp()) * 1000)::bigint AS wait
FROM (
    (SELECT start_at AS at FROM jobs WHERE state IN ('scheduled', 'queued') ORDER BY start_at LIMIT 1)
    UNION ALL
    (SELECT min(deadline) FROM jobs WHERE state IN ('running', 'cancelling') AND expired_at IS NULL)
) next
