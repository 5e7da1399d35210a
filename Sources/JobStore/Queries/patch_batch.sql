-- Executes a twin patch on the open items of one claimed batch: twins, results, counters and the batch's state in one
-- statement and one commit, so that each device is patched exactly once whatever dies (invariants I3 and I4).
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer first seq, $6 integer last seq,
-- $7 integer counter shard, $8 text etag that each twin must have, or null, $9 integer largest tags,
-- $10 integer largest desired; the patch's parameters follow
-- Returns one row: succeeded, failed and what is still open; open is null when the lease was lost (nothing changed);
-- and the devices that are to be told of their new desired versions, null when no gateway lives. Then the batch is
-- marked until that has been done.
-- Indexes: work_batches, work_items and twins by their keys.
-- The planner expects one item of a job that it has no statistics of, which is every new job of a day's partition, and
-- so would join by a nested loop over the whole job. Hence items are read and written by the batch's range, the failures
-- are looked up and not joined, and items meet twins in a full join, which is never a nested loop.
-- Safe under concurrency: the batch's row is locked first and tested on its newest version; twins are locked in device
-- order and patched from their newest version; an item is written only while it is pending.
WITH held AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS written
    FROM work_batches b
    JOIN jobs j USING (job)
    WHERE b.job = $1::bigint AND b.batch = $2::integer AND b.fence = $3::bigint AND b.state = 'claimed'
      AND j.epoch = b.epoch AND j.state = 'running' AND j.deadline > clock_timestamp()
    FOR UPDATE OF b
), item AS MATERIALIZED (
    SELECT i.seq, i.device_id
    FROM work_items i
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.seq BETWEEN $5::integer AND $6::integer AND i.batch = $2
      AND i.state = 'pending' AND EXISTS (SELECT FROM held)
), twin AS MATERIALIZED (
    SELECT t.device_id, t.etag,
           /*tags:*/ t.tags /*:tags*/ AS tags,
           /*desired:*/ t.desired /*:desired*/ AS desired,
           /*metadata:*/ t.desired_metadata /*:metadata*/ AS desired_metadata
    FROM (
        SELECT * FROM twins
        WHERE device_id = ANY (ARRAY(SELECT device_id FROM item))
        ORDER BY device_id
        FOR UPDATE
    ) t
    CROSS JOIN LATERAL (SELECT jsonb_build_array((SELECT written FROM held), t.desired_version + 1) AS stamp
                        OFFSET 0) m
), judged AS MATERIALIZED (
    SELECT i.seq, i.device_id, t.etag, t.tags, t.desired, t.desired_metadata,
           CASE WHEN t.device_id IS NULL THEN 'DeviceNotFound'
                WHEN encode(int8send(t.etag), 'base64') <> $8::text THEN 'PreconditionFailed'
                WHEN NOT twin_fits(t.tags, $9::integer) THEN 'ArgumentInvalid'
                WHEN NOT twin_fits(t.desired, $10::integer) THEN 'ArgumentInvalid' END AS error_code
    FROM item i
    FULL JOIN twin t USING (device_id)  -- a left join in effect: every twin has its item
), patched AS (
    UPDATE twins t
    SET tags = v.tags, desired = v.desired, etag = t.etag + 1,
        desired_metadata = CASE WHEN pg_column_size(v.desired_metadata) < 65536 THEN v.desired_metadata
                                ELSE twin_metadata(v.desired, v.desired_metadata) END,
        desired_version = t.desired_version + /*increment:*/ 0 /*:increment*/
    FROM judged v
    WHERE t.device_id = v.device_id AND v.error_code IS NULL
    RETURNING t.device_id, t.desired_version
), failure AS MATERIALIZED (
    SELECT jsonb_object_agg(v.seq, jsonb_build_array(v.error_code, CASE v.error_code
               WHEN 'DeviceNotFound' THEN 'the device no longer exists'
               WHEN 'PreconditionFailed' THEN format('the twin''s etag is %s, the job asked for %s',
                                                     encode(int8send(v.etag), 'base64'), $8)
               WHEN 'ArgumentInvalid' THEN
                   CASE WHEN twin_fits(v.tags, $9) THEN format('properties.desired would exceed %s bytes', $10)
                        ELSE format('tags would exceed %s bytes', $9) END END)) AS by_seq
    FROM judged v
    WHERE v.error_code IS NOT NULL
), result AS (
    UPDATE work_items i
    SET state = CASE WHEN (SELECT by_seq FROM failure) ? i.seq::text THEN 'failed' ELSE 'succeeded' END::item_state,
        attempt = i.attempt + 1, updated_at = clock_timestamp(),
        error_code = (SELECT by_seq FROM failure) -> i.seq::text ->> 0,
        error_text = (SELECT by_seq FROM failure) -> i.seq::text ->> 1
    WHERE i.slot = $4 AND i.job = $1 AND i.seq BETWEEN $5 AND $6 AND i.batch = $2 AND i.state = 'pending'
      AND EXISTS (SELECT FROM held)
    RETURNING i.error_code
), tally AS (
    SELECT count(*) FILTER (WHERE error_code IS NULL) AS succeeded, count(error_code) AS failed FROM result
), counted AS (
    INSERT INTO job_counters AS c (job, shard, succeeded, failed)
    SELECT $1, $7::integer, succeeded, failed FROM tally WHERE succeeded + failed > 0
    ON CONFLICT (job, shard) DO UPDATE
    SET succeeded = c.succeeded + excluded.succeeded, failed = c.failed + excluded.failed
), settled AS (
    UPDATE work_batches b
    SET open = b.open - (succeeded + failed),
        state = CASE WHEN b.open = succeeded + failed THEN 'closed' ELSE b.state END,
        to_notify = b.to_notify
                    OR /*notify:*/ false /*:notify*/ AND succeeded > 0 AND EXISTS (SELECT FROM gateways)
    FROM tally
    WHERE b.job = $1 AND b.batch = $2 AND b.fence = $3 AND EXISTS (SELECT FROM held)
    RETURNING b.open, b.to_notify
)
SELECT tally.succeeded, tally.failed, settled.open, notice.devices, notice.versions
FROM tally
LEFT JOIN settled ON true
LEFT JOIN LATERAL (SELECT array_agg(device_id) AS devices, array_agg(desired_version) AS versions
                   FROM patched WHERE settled.to_notify) notice ON true
