-- Room for the answers of direct methods on an item's page.

-- As before, but with more free space on each page. A result is a HOT update when its page has room for the second version
-- of the row. The answer of a method makes that version half as large again as the first or more, so with fillfactor 50 a
-- fifth of the results of a running fleet's jobs went to other pages, with two index entries and their log each: 6.7 µs of
-- CPU a result, against 3.7 with 35, and the table was no smaller. A twin patch writes no answer: its large jobs keep 50.
-- Partitions that are there already stay as they are.
CREATE OR REPLACE FUNCTION create_slot(new_slot bigint) RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    partition text := format('work_items_%s', new_slot);
    -- A slot of a job's own is 10^9 + job; the others are days, whose small jobs are of all kinds.
    has_answers boolean := NOT EXISTS (SELECT FROM jobs
                                       WHERE job = new_slot - 1000000000 AND type <> 'scheduleDeviceMethod');
BEGIN
    INSERT INTO slots (slot) VALUES (new_slot) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE work_items INCLUDING ALL) WITH (fillfactor = %s)', partition,
                   CASE WHEN has_answers THEN 35 ELSE 50 END);
    EXECUTE format('ALTER TABLE work_items ATTACH PARTITION %I FOR VALUES IN (%L)', partition, new_slot);
    RETURN true;
END
$$;
