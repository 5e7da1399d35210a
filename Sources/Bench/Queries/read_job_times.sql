-- How far a job is, and how long it took by the server's clock.
-- $1 text job id
-- Returns one row: state, devices, done, and seconds from creation to the end of expansion and of the job (null while it
-- has not come). Index: jobs by job_id, expansions and job_counters by their keys.
SELECT state::text AS state,
       (SELECT coalesce(sum(item_count), 0)::bigint FROM expansions e WHERE e.job = j.job) AS devices,
       (SELECT coalesce(sum(succeeded), 0)::bigint FROM job_counters c WHERE c.job = j.job) AS succeeded,
       (SELECT coalesce(sum(failed + cancelled), 0)::bigint FROM job_counters c WHERE c.job = j.job) AS failed,
       extract(epoch FROM expanded_at - created_at)::float8 AS expanded,
       extract(epoch FROM ended_at - created_at)::float8 AS ended
FROM jobs j
WHERE job_id = $1::text
