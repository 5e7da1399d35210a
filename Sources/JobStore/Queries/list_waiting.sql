-- A page of devices that parked items wait for, for the sweep to hold against the directory.
-- $1 text the last device of the page before, or '', $2 integer limit
-- Returns device ids in order, each once. Index: waiting_pkey.
SELECT DISTINCT w.device_id
FROM waiting w
WHERE w.device_id > $1::text
ORDER BY w.device_id
LIMIT $2::integer
