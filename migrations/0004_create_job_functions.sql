-- Partitions of work_items, and the view that every reader of statistics shares.

-- Creates the partition of a slot if it is not there. LIKE and ATTACH wait for nobody; PARTITION OF would wait for
-- every transaction that has read the parent. The insert into slots makes two callers queue.
CREATE FUNCTION create_slot(new_slot bigint) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    partition text := format('work_items_%s', new_slot);
BEGIN
    INSERT INTO slots (slot) VALUES (new_slot) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- fillfactor 50: a result is a HOT update, which needs room for the second version on the same page.
    EXECUTE format('CREATE TABLE %I (LIKE work_items INCLUDING ALL) WITH (fillfactor = 50)', partition);
    EXECUTE format('ALTER TABLE work_items ATTACH PARTITION %I FOR VALUES IN (%L)', partition, new_slot);
    RETURN true;
END
$$;

-- A fresh partition has no statistics, and plans over it were eight times slower until it had.
CREATE FUNCTION analyze_slot(of_slot bigint) RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    EXECUTE format('ANALYZE %I', format('work_items_%s', of_slot));
END
$$;

-- Invariant I1 by definition: pending is what remains.
CREATE VIEW job_statistics AS
SELECT j.job,
       d.devices,
       d.devices - r.running - c.succeeded - c.failed - c.cancelled AS pending,
       r.running, c.succeeded, c.failed, c.cancelled
FROM jobs j
CROSS JOIN LATERAL (SELECT coalesce(sum(item_count), 0)::bigint AS devices FROM expansions WHERE job = j.job) d
CROSS JOIN LATERAL (SELECT coalesce(sum(open), 0)::bigint AS running
                    FROM work_batches WHERE job = j.job AND state = 'claimed') r
CROSS JOIN LATERAL (SELECT coalesce(sum(succeeded), 0)::bigint AS succeeded,
                           coalesce(sum(failed), 0)::bigint AS failed,
                           coalesce(sum(cancelled), 0)::bigint AS cancelled
                    FROM job_counters WHERE job = j.job) c;
COMMENT ON VIEW job_statistics IS 'deviceJobStatistics of every job, each row from one snapshot';
