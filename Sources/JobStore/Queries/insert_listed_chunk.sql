-- Writes one chunk of a job from a list of devices: items, batches and the expansion row.
-- $1 bigint job, $2 bigint slot, $3 integer epoch, $4 integer chunk, $5 bigint term, $6 text[] devices in order,
-- $7 bigint first seq, $8 bigint first batch, $9 integer items per batch
-- Returns items and batches written; no row when the job no longer runs under that epoch.
-- Only inserts. The key (job, chunk) refuses a second leader; the lock on the job makes a cancel wait for this commit
-- or makes this chunk see the cancel.
WITH running AS MATERIALIZED (
    SELECT job FROM jobs WHERE job = $1::bigint AND state = 'running' AND epoch = $3::integer FOR SHARE
), items AS (
    INSERT INTO work_items (slot, job, seq, device_id, batch)
    SELECT $2::bigint, $1, $7::bigint + d.position - 1, d.device_id, $8::bigint + (d.position - 1) / $9::integer
    FROM running, unnest($6::text[]) WITH ORDINALITY AS d (device_id, position)
), counted AS (
    SELECT cardinality($6) AS items, (cardinality($6) + $9 - 1) / $9 AS batches, $6[cardinality($6)] AS last_device
    FROM running
), batches AS (
    INSERT INTO work_batches (job, batch, first_seq, last_seq, open)
    SELECT $1, $8 + n, $7 + n * $9, $7 + least((n + 1) * $9, items) - 1, least($9, items - n * $9)
    FROM counted, generate_series(0, batches - 1) AS n
)
INSERT INTO expansions (job, chunk, term, last_device, item_count, batch_count)
SELECT $1, $4::integer, $5::bigint, last_device, items, batches FROM counted WHERE items > 0
RETURNING item_count, batch_count, last_device
