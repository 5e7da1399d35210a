-- Gives a job its partition, once.
-- $1 bigint job, $2 bigint slot of its own, or null for the partition that small jobs of this day share
-- Returns the slot; an earlier assignment stands. Creates the partition if it is not there.
WITH chosen AS (
    SELECT coalesce($2::bigint, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD')::bigint) AS slot
), created AS MATERIALIZED (
    SELECT slot, create_slot(slot) FROM chosen WHERE (SELECT j.slot FROM jobs j WHERE j.job = $1::bigint) IS NULL
)
UPDATE jobs j SET slot = coalesce(j.slot, (SELECT slot FROM created))
WHERE j.job = $1::bigint
RETURNING j.slot
