-- Counts jobs anew from their items and holds the result against the counters, in one snapshot (invariants I1 and I2).
-- $1 text job id, or null for all
-- Returns a row per job: counted and recounted members, and how many batches, items and chunks break a rule.
-- Reads every item of the jobs it looks at; for audits and tests.
SELECT j.job_id, j.state::text AS state, s.devices, s.pending, s.running, s.succeeded, s.failed, s.cancelled,
       coalesce(r.devices, 0) AS r_devices, coalesce(r.pending, 0) AS r_pending, coalesce(r.running, 0) AS r_running,
       coalesce(r.succeeded, 0) AS r_succeeded, coalesce(r.failed, 0) AS r_failed,
       coalesce(r.cancelled, 0) AS r_cancelled,
       coalesce(r.orphans, 0) AS orphans, coalesce(r.repeated, 0) AS repeated,
       (SELECT count(*) FROM work_batches b
        WHERE b.job = j.job
          AND b.open <> (SELECT count(*) FROM work_items i
                         WHERE i.slot = j.slot AND i.job = j.job AND i.seq BETWEEN b.first_seq AND b.last_seq
                           AND i.batch = b.batch AND i.state = 'pending')) AS miscounted_batches,
       (SELECT count(*) FROM expansions e WHERE e.job = j.job)
           <> coalesce((SELECT max(chunk) + 1 FROM expansions e WHERE e.job = j.job), 0) AS missing_chunks,
       j.ended_at IS NOT NULL AS ended
FROM jobs j
JOIN job_statistics s USING (job)
LEFT JOIN LATERAL (
    SELECT count(*) AS devices,
           count(*) FILTER (WHERE i.state = 'pending' AND b.state IS DISTINCT FROM 'claimed') AS pending,
           count(*) FILTER (WHERE i.state = 'pending' AND b.state = 'claimed') AS running,
           count(*) FILTER (WHERE i.state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE i.state = 'failed') AS failed,
           count(*) FILTER (WHERE i.state = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE b.batch IS NULL AND i.batch <> -1
                            OR i.state = 'pending' AND b.state = 'closed'
                            OR i.state = 'pending' AND i.batch = -1 AND w.job IS NULL
                            OR w.job IS NOT NULL AND (i.state <> 'pending' OR i.batch <> -1)) AS orphans,
           count(*) - count(DISTINCT i.device_id) AS repeated
    FROM work_items i
    LEFT JOIN work_batches b ON b.job = i.job AND b.batch = i.batch
    LEFT JOIN waiting w ON w.device_id = i.device_id AND w.job = i.job
    WHERE i.slot = j.slot AND i.job = j.job
) r ON true
WHERE $1::text IS NULL OR j.job_id = $1
ORDER BY j.job
