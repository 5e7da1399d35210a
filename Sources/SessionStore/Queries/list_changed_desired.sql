-- Desired properties that were changed a short while ago, for devices that may not have been told.
-- $1 text[]: device ids. $2 bigint: milliseconds back from now.
-- Rows: device id, desired properties and their version. Index: twins_pkey. Safe: reads only.
SELECT t.device_id, t.desired::text AS desired, t.desired_version AS version
FROM twins AS t
WHERE t.device_id = ANY ($1::text[])
  AND (t.desired_metadata -> '' ->> 0)::bigint > extract(epoch FROM clock_timestamp()) * 1000000 - $2::bigint * 1000
