"""The suite's own SQL. It reads the tables and shares nothing with the product's statements."""

# The history of results and dispatches, written by triggers: who (application name of the connection) gave how many
# items of which batch an outcome, to whom the batch belonged, every change of an item that had an outcome already, and
# every dispatch, as those that are settled go from their table.
HISTORY = """
CREATE SCHEMA faults;
CREATE TABLE faults.outcomes (
    at timestamptz DEFAULT clock_timestamp(), writer text, job bigint, batch integer, worker text, items bigint
);
CREATE TABLE faults.rewritten (
    at timestamptz DEFAULT clock_timestamp(), writer text, job bigint, seq integer, before text, after text
);
CREATE TABLE faults.dispatches (at timestamptz, job bigint, seqs integer[], incarnation text);
-- A plan is kept that was made for a few items, and loops over all pairs; of the 10,000 items of a cancel that takes 10 s.
CREATE FUNCTION faults.note() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
    INSERT INTO faults.outcomes (writer, job, batch, worker, items)
    SELECT current_setting('application_name'), n.job, n.batch,
           (SELECT b.worker FROM work_batches b WHERE b.job = n.job AND b.batch = n.batch), count(*)
    FROM new_items n JOIN old_items o ON o.job = n.job AND o.seq = n.seq
    WHERE o.state = 'pending' AND n.state <> 'pending'
    GROUP BY n.job, n.batch;
    INSERT INTO faults.rewritten (writer, job, seq, before, after)
    SELECT current_setting('application_name'), n.job, n.seq, o::text, n::text
    FROM new_items n JOIN old_items o ON o.job = n.job AND o.seq = n.seq
    WHERE o.state <> 'pending';
    RETURN NULL;
END $$;
CREATE TRIGGER faults_note AFTER UPDATE ON work_items
REFERENCING OLD TABLE AS old_items NEW TABLE AS new_items FOR EACH STATEMENT EXECUTE FUNCTION faults.note();
-- A statement may name a partition, and then the trigger of the whole table is silent: each partition gets one too.
CREATE FUNCTION faults.watch_partitions() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT inhrelid FROM pg_inherits
        WHERE inhparent = 'public.work_items'::regclass
          AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = inhrelid AND tgname = 'faults_note')
    LOOP
        EXECUTE format('CREATE TRIGGER faults_note AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_items '
                       'NEW TABLE AS new_items FOR EACH STATEMENT EXECUTE FUNCTION faults.note()', part);
    END LOOP;
END $$;
CREATE EVENT TRIGGER faults_partitions ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
EXECUTE FUNCTION faults.watch_partitions();
CREATE FUNCTION faults.note_dispatches() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO faults.dispatches SELECT created_at, job, seqs, incarnation FROM new_dispatches;
    RETURN NULL;
END $$;
CREATE TRIGGER faults_note AFTER INSERT ON dispatches
REFERENCING NEW TABLE AS new_dispatches FOR EACH STATEMENT EXECUTE FUNCTION faults.note_dispatches();
"""

# Devices that exist as twins only, for jobs that take a while.
ADD_TWINS = """
WITH added AS (
    INSERT INTO devices (device_id, generation_id)
    SELECT 'twin-' || lpad(n::text, 6, '0'), 'g' FROM generate_series(1, %s::integer) AS n
    RETURNING device_id
)
INSERT INTO twins (device_id, tags)
SELECT device_id, jsonb_build_object('kind', 'twin') FROM added
"""

POLICY = "SELECT primary_key FROM policies WHERE name = %s"
LEADER = "SELECT holder, term, expires_at > clock_timestamp() FROM leaders LIMIT 1"
HELD_BATCHES = "SELECT job, batch, fence FROM work_batches WHERE worker = %s AND state = 'claimed'"
# What a worker that has drained must not leave. Items of a job that ends, except calls, are ended wherever they are.
LEFT_BEHIND = """
SELECT b.job, b.batch, b.fence FROM work_batches b JOIN jobs j USING (job)
WHERE b.worker = %s AND b.state = 'claimed' AND j.expired_at IS NULL
  AND (j.state = 'running' OR j.type = 'scheduleDeviceMethod')
"""
# Batches that nobody has claimed since, or that are still as they were.
TAKEN_OVER = """
SELECT count(*) FROM unnest(%s::bigint[], %s::integer[], %s::bigint[]) AS h (job, batch, fence)
JOIN work_batches b USING (job, batch)
WHERE b.state = 'ready' OR b.state = 'claimed' AND b.fence = h.fence
"""

# I1: jobs whose rolled-up counters differ from their items, in one snapshot.
DRIFT = """
WITH recount AS (
    SELECT j.job, count(i.seq) AS devices,
           count(*) FILTER (WHERE i.state = 'pending' AND b.state IS DISTINCT FROM 'claimed') AS pending,
           count(*) FILTER (WHERE i.state = 'pending' AND b.state = 'claimed') AS running,
           count(*) FILTER (WHERE i.state = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE i.state = 'failed') AS failed,
           count(*) FILTER (WHERE i.state = 'cancelled') AS cancelled
    FROM jobs j
    LEFT JOIN work_items i ON i.slot = j.slot AND i.job = j.job
    LEFT JOIN work_batches b ON b.job = i.job AND b.batch = i.batch
    WHERE j.ended_at IS NULL OR j.ended_at > now() - interval '20 seconds'
    GROUP BY j.job
)
SELECT now()::text, j.job_id, j.state::text,
       (s.devices, s.pending, s.running, s.succeeded, s.failed, s.cancelled)::text AS counters,
       (r.devices, r.pending, r.running, r.succeeded, r.failed, r.cancelled)::text AS items
FROM recount r JOIN jobs j USING (job) JOIN job_statistics s USING (job)
WHERE (s.devices, s.pending, s.running, s.succeeded, s.failed, s.cancelled)
      <> (CASE WHEN j.slot IS NULL THEN 0 ELSE r.devices END,
          CASE WHEN j.slot IS NULL THEN 0 ELSE r.pending END, r.running, r.succeeded, r.failed, r.cancelled)
"""

JOBS = """
SELECT j.job, j.job_id, j.type, j.state::text, j.ended_at IS NOT NULL AS ended, j.started_at IS NOT NULL AS started,
       (SELECT count(*) FROM work_items i WHERE i.slot = j.slot AND i.job = j.job) AS items,
       (SELECT count(DISTINCT i.device_id) FROM work_items i WHERE i.slot = j.slot AND i.job = j.job) AS devices,
       (SELECT count(*) FROM work_items i WHERE i.slot = j.slot AND i.job = j.job AND i.state = 'pending') AS open,
       (SELECT count(*) FROM work_batches b WHERE b.job = j.job AND (b.state <> 'closed' OR b.open <> 0)) AS batches,
       (SELECT count(*) FROM waiting w WHERE w.job = j.job) AS waiting
FROM jobs j ORDER BY j.job
"""

ITEMS = """
SELECT j.job_id, i.seq, i.device_id, i.state::text, i.attempt, i.error_code, i.response ->> 'status'
FROM work_items i JOIN jobs j ON j.job = i.job AND j.slot = i.slot
WHERE j.type = %s
"""

TWINS = "SELECT device_id, desired_version, etag FROM twins"

# I3: outcomes that a worker gave items of a batch which belonged to somebody else.
OUTCOMES = "SELECT writer, job, batch, worker, items, at::text FROM faults.outcomes"
REWRITTEN = "SELECT at::text, writer, job, seq, before, after FROM faults.rewritten LIMIT 20"

# I5: items of unknown outcome, with the gateways' incarnations through which they may have been sent, and whether the
# job was ended before anybody could ask them.
UNKNOWN = """
SELECT j.job_id, i.seq, i.device_id, array_agg(DISTINCT d.incarnation) FILTER (WHERE d.incarnation IS NOT NULL),
       j.state = 'cancelled' OR j.expired_at IS NOT NULL
FROM work_items i JOIN jobs j ON j.job = i.job AND j.slot = i.slot
LEFT JOIN faults.dispatches d ON d.job = i.job AND i.seq = ANY (d.seqs)
WHERE i.error_code = 'OutcomeUnknown'
GROUP BY 1, 2, 3, 5
"""
GATEWAYS = "SELECT incarnation FROM gateways"

# I7: what was dispatched, or patched, later than two seconds after a cancel was acknowledged.
LATE = """
SELECT j.job_id, 'dispatch', d.at - e.at
FROM jobs j JOIN job_events e ON e.job = j.job AND e.kind = 'cancelling' JOIN faults.dispatches d ON d.job = j.job
WHERE d.at > e.at + interval '2 seconds'
UNION ALL
SELECT j.job_id, 'patch', i.updated_at - e.at
FROM jobs j JOIN job_events e ON e.job = j.job AND e.kind = 'cancelling'
JOIN work_items i ON i.slot = j.slot AND i.job = j.job AND i.state = 'succeeded'
WHERE j.type = 'scheduleUpdateTwin' AND i.updated_at > e.at + interval '2 seconds'
"""
# A mark that is left means devices that were not told.
UNTOLD = "SELECT (SELECT count(*) FROM work_batches WHERE to_notify) + (SELECT count(*) FROM twin_notices)"

OUTCOME_COUNTS = """
SELECT j.type, i.state::text, i.error_code, count(*)
FROM work_items i JOIN jobs j ON j.job = i.job AND j.slot = i.slot
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
