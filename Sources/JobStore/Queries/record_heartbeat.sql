-- A worker's sign of life, and the end of workers that have been silent for an hour.
-- $1 text worker, $2 boolean draining, $3 bigint items done so far
-- Returns nothing.
WITH gone AS (
    DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 hour'
)
INSERT INTO workers AS w (worker, draining, items_done) VALUES ($1::text, $2::boolean, $3::bigint)
ON CONFLICT (worker) DO UPDATE
SET seen_at = clock_timestamp(), draining = excluded.draining, items_done = excluded.items_done
