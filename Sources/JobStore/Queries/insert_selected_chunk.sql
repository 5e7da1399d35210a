-- Writes one chunk of a job straight from the query: items, batches and the expansion row.
-- $1 bigint job, $2 bigint slot, $3 integer epoch, $4 integer chunk, $5 bigint term, $6 text device to start behind,
-- $7 bigint first seq, $8 bigint first batch, $9 integer items per batch, $10 integer devices at most; the condition's
-- parameters follow
-- Returns items, batches and the last device; no row when nothing is left or the job no longer runs under that epoch.
-- Runs in a transaction under the snapshot of the expansion. Safe as insert_listed_chunk is; a job that changed since
-- the snapshot makes the lock fail with a serialization error, and the caller looks again.
WITH running AS MATERIALIZED (
    SELECT job FROM jobs WHERE job = $1::bigint AND state = 'running' AND epoch = $3::integer FOR SHARE
), listed AS MATERIALIZED (
    SELECT s.device_id, (row_number() OVER () - 1)::integer AS position
    FROM (
        SELECT t.device_id
        FROM /*sources:*/ twins t /*:sources*/
        WHERE (/*condition:*/ true /*:condition*/) AND t.device_id > $6::text AND EXISTS (SELECT FROM running)
        ORDER BY t.device_id
        LIMIT $10::integer
    ) s
), items AS (
    INSERT INTO work_items (slot, job, seq, device_id, batch)
    SELECT $2::bigint, $1, $7::bigint + position, device_id, $8::bigint + position / $9::integer FROM listed
), counted AS (
    SELECT count(*)::integer AS items, ((count(*) + $9 - 1) / $9)::integer AS batches, max(device_id) AS last_device
    FROM listed
), batches AS (
    INSERT INTO work_batches (job, batch, first_seq, last_seq, open)
    SELECT $1, $8 + n, $7 + n * $9, $7 + least((n + 1) * $9, items) - 1, least($9, items - n * $9)
    FROM counted, generate_series(0, batches - 1) AS n
)
INSERT INTO expansions (job, chunk, term, last_device, item_count, batch_count)
SELECT $1, $4::integer, $5::bigint, last_device, items, batches FROM counted WHERE items > 0
RETURNING item_count, batch_count, last_device
