-- Takes the parked items of devices that are connected into new batches.
-- $1 text[] devices, $2 integer items per batch
-- Returns job and batch of each new batch, to be offered. Index: waiting_pkey, work_items by its key.
-- Safe when two run at once: each waiting row is deleted once. Locks on the jobs make a cancel wait for this commit, or
-- make this statement see the cancel and leave the item to the end of the job.
WITH running AS MATERIALIZED (
    SELECT job FROM jobs
    WHERE job IN (SELECT w.job FROM waiting w WHERE w.device_id = ANY ($1::text[]))
      AND state = 'running' AND expired_at IS NULL
    ORDER BY job
    FOR SHARE
), woken AS (
    DELETE FROM waiting w USING running r
    WHERE w.device_id = ANY ($1) AND w.job = r.job
    RETURNING w.job, w.slot, w.seq
), numbered AS MATERIALIZED (
    SELECT job, slot, seq, (row_number() OVER (PARTITION BY job ORDER BY seq) - 1) / $2::integer AS part FROM woken
), batch AS MATERIALIZED (
    SELECT n.job, n.part, nextval('list_batches')::integer AS batch, n.seqs
    FROM (SELECT job, part, array_agg(seq ORDER BY seq) AS seqs FROM numbered GROUP BY job, part) n
), created AS (
    INSERT INTO work_batches (job, batch, first_seq, last_seq, seqs, open)
    SELECT job, batch, seqs[1], seqs[cardinality(seqs)], seqs, cardinality(seqs) FROM batch
    RETURNING job, batch
), moved AS (
    UPDATE work_items i SET batch = b.batch, updated_at = clock_timestamp()
    FROM numbered n
    JOIN batch b USING (job, part)
    WHERE i.slot = n.slot AND i.job = n.job AND i.seq = n.seq
)
SELECT job, batch FROM created
