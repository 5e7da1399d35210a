-- Parks items whose devices are not connected: they leave their batch and wait for the device.
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer[] seqs
-- Returns one row: parked and what is still open in the batch; open is null when the lease was lost (nothing changed).
-- Index: work_items by its key, between the least and the greatest seq, whatever is known of the partition. Safe as record_results is; the epoch is tested, so that the end of a cancelled job does
-- not miss an item that is parked behind it.
WITH held AS MATERIALIZED (
    SELECT b.batch
    FROM work_batches b
    JOIN jobs j USING (job)
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
      AND j.epoch = b.epoch AND j.state = 'running'
    FOR UPDATE OF b FOR SHARE OF j
), parked AS (
    UPDATE work_items i SET batch = -1, updated_at = clock_timestamp()
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.seq = ANY ($5::integer[]) AND i.batch = $2 AND i.state = 'pending'
      AND i.seq BETWEEN (SELECT min(seq) FROM unnest($5) AS seq) AND (SELECT max(seq) FROM unnest($5) AS seq)
      AND EXISTS (SELECT FROM held)
    RETURNING i.device_id, i.seq
), entered AS (
    INSERT INTO waiting (device_id, job, slot, seq) SELECT device_id, $1, $4, seq FROM parked
), tally AS (
    SELECT count(*) AS parked FROM parked
), settled AS (
    UPDATE work_batches b
    SET open = b.open - parked, state = CASE WHEN b.open = parked THEN 'closed' ELSE b.state END
    FROM tally
    WHERE b.job = $1 AND b.batch = $2 AND b.fence = $3 AND EXISTS (SELECT FROM held)
    RETURNING b.open
)
SELECT tally.parked, settled.open
FROM tally LEFT JOIN settled ON true
