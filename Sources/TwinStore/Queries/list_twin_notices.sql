-- Desired changes of single twins that their devices may not have been told of.
-- $1 text[]: the only devices to look at; null: all. $2 integer: least age of the mark in ms. $3 integer: limit.
-- Rows: device_id, version, patch; oldest version of each device first. Index: twin_notices_pkey. A plain read.
SELECT n.device_id, n.version, n.patch
FROM twin_notices AS n
WHERE ($1::text[] IS NULL OR n.device_id = ANY ($1))
  AND n.marked_at <= clock_timestamp() - $2::integer * interval '1 millisecond'
ORDER BY n.device_id, n.version
LIMIT $3::integer
