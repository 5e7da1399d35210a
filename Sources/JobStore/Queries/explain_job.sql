-- Why a job has not ended: its own state, and who is there to work on it.
-- $1 text job id, $2 integer milliseconds after which a worker that was not heard of is silent
-- Returns one row, or none when there is no such job or it has ended. Index: jobs_job_id_key, jobs_live.
SELECT j.job, j.slot, j.state::text AS state, j.type,
       (extract(epoch FROM j.start_at) * 1000000)::bigint AS start,
       (extract(epoch FROM j.deadline) * 1000000)::bigint AS deadline,
       j.start_at <= clock_timestamp() AS due, j.expanded_at IS NOT NULL AS expanded, j.expired_at IS NOT NULL AS expired,
       (SELECT coalesce(sum(item_count), 0) FROM expansions e WHERE e.job = j.job)::bigint AS devices,
       (SELECT last_device FROM expansions e WHERE e.job = j.job ORDER BY chunk DESC LIMIT 1) AS last_device,
       (SELECT holder FROM leaders WHERE expires_at > clock_timestamp() LIMIT 1) AS leader,
       (SELECT count(*) FROM workers
        WHERE seen_at > clock_timestamp() - $2::integer * interval '1 millisecond' AND NOT draining) AS workers,
       (SELECT count(*) FROM gateways) AS gateways,
       (SELECT count(*) FROM jobs r WHERE r.state IN ('running', 'cancelling')) AS running
FROM jobs j
WHERE j.job_id = $1::text AND j.ended_at IS NULL
