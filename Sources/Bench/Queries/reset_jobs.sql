-- Removes all jobs with their items and partitions, so that each round of a benchmark starts alike. Only ever runs on a
-- database that the benchmark found empty.
-- Returns nothing. Safe: the roles are stopped.
DO LANGUAGE plpgsql $reset$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'work_items'::regclass LOOP
        EXECUTE format('DROP TABLE %s', partition);
    END LOOP;
    TRUNCATE slots, jobs, workers, leaders CASCADE;
END
$reset$
