-- Executes a twin patch on the open items of one claimed batch: twins, results, counters and the batch's state in one
-- statement and one commit, so that each device is patched exactly once whatever dies (invariants I3 and I4).
-- $1 bigint job, $2 integer batch, $3 bigint fence, $4 bigint slot, $5 integer first seq, $6 integer last seq,
-- $7 integer counter shard, $8 text etag that each twin must have, or null, $9 integer largest tags,
-- $10 integer largest desired, $11 and $12 integer bytes by which the patch can make tags and desired larger; the
-- patch's parameters follow
-- Returns one row: succeeded, failed and what is still open; open is null when the lease was lost (nothing changed);
-- and the devices that are to be told of their new desired versions, null when no gateway lives. Then the batch is
-- marked until that has been done.
-- Indexes: work_batches, work_items and twins by their keys.
-- The planner expects one item of a job that it has no statistics of, which is every new job of a day's partition, and
-- so would join by a nested loop over the whole job. Hence items are read and written by the batch's range, twins by an
-- array, and failures are looked up and not joined.
-- Planning costs an eighth of executing a batch, so the plan is to be a kept one: PostgreSQL keeps it only if it looks
-- no worse than one made for the values. Hence the positions stand in subqueries, whose values no plan knows, and the
-- partition is named.
-- Twins are patched where they stand; those that were not are told apart only when there are any, because the reasons
-- cost more than the patch. A twin that stopped matching while the statement ran has no reason yet: its item is open.
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
    FROM /*items:*/ work_items /*:items*/ i
    WHERE i.slot = $4::bigint AND i.job = $1 AND i.seq BETWEEN (SELECT $5::integer) AND (SELECT $6::integer)
      AND i.batch = $2 AND i.state = 'pending' AND EXISTS (SELECT FROM held)
), patched AS (
    UPDATE twins t
    SET tags = /*tags:*/ t.tags /*:tags*/,
        desired = /*desired:*/ t.desired /*:desired*/,
        etag = t.etag + 1,
        desired_metadata = /*metadata:*/ t.desired_metadata /*:metadata*/,
        desired_version = t.desired_version + /*increment:*/ 0 /*:increment*/
    WHERE t.device_id = ANY (ARRAY(SELECT device_id FROM item))
      AND ($8::text IS NULL OR encode(int8send(t.etag), 'base64') = $8)
      AND /*tags_fit:*/ true /*:tags_fit*/ AND /*desired_fit:*/ true /*:desired_fit*/
    RETURNING t.device_id, t.desired_version
), missing AS MATERIALIZED (
    SELECT (SELECT count(*) FROM item) - (SELECT count(*) FROM patched) AS count
), refused AS MATERIALIZED (
    SELECT u.seq, t.etag,
           CASE WHEN t.device_id IS NULL THEN 'DeviceNotFound'
                WHEN encode(int8send(t.etag), 'base64') <> $8 THEN 'PreconditionFailed'
                WHEN NOT (/*tags_fit:*/ true /*:tags_fit*/) THEN 'tags'
                WHEN NOT (/*desired_fit:*/ true /*:desired_fit*/) THEN 'properties.desired' END AS reason
    FROM (SELECT i.seq, i.device_id
          FROM item i
          FULL JOIN patched p USING (device_id)  -- a left join in effect, but never a nested loop
          WHERE p.device_id IS NULL) u
    LEFT JOIN LATERAL (SELECT * FROM twins WHERE device_id = u.device_id OFFSET 0) t ON true
    WHERE (SELECT count FROM missing) > 0
), failure AS MATERIALIZED (
    SELECT jsonb_object_agg(seq, CASE
               WHEN reason = 'DeviceNotFound' THEN jsonb_build_array(reason, 'the device no longer exists')
               WHEN reason = 'PreconditionFailed' THEN jsonb_build_array(reason,
                   format('the twin''s etag is %s, the job asked for %s', encode(int8send(etag), 'base64'), $8))
               WHEN reason IS NOT NULL THEN jsonb_build_array('ArgumentInvalid',
                   format('%s would exceed %s bytes', reason,
                          CASE reason WHEN 'tags' THEN $9::integer ELSE $10::integer END))
               ELSE 'null' END) AS by_seq
    FROM refused
), result AS (
    UPDATE /*items:*/ work_items /*:items*/ i
    SET state = CASE WHEN (SELECT by_seq FROM failure) IS NULL THEN 'succeeded'
                     WHEN (SELECT by_seq FROM failure) ? i.seq::text THEN 'failed' ELSE 'succeeded' END::item_state,
        attempt = i.attempt + 1, updated_at = clock_timestamp(),
        error_code = CASE WHEN (SELECT by_seq FROM failure) IS NULL THEN NULL
                          ELSE (SELECT by_seq FROM failure) -> i.seq::text ->> 0 END,
        error_text = CASE WHEN (SELECT by_seq FROM failure) IS NULL THEN NULL
                          ELSE (SELECT by_seq FROM failure) -> i.seq::text ->> 1 END
    WHERE i.slot = $4 AND i.job = $1 AND i.seq BETWEEN (SELECT $5) AND (SELECT $6) AND i.batch = $2
      AND i.state = 'pending'
      AND EXISTS (SELECT FROM held)
      AND ((SELECT by_seq FROM failure) IS NULL
           OR (SELECT by_seq FROM failure) -> i.seq::text IS DISTINCT FROM 'null')
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
