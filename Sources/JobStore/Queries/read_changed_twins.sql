-- The present desired properties of the devices that a batch has patched.
-- $1 bigint slot, $2 bigint job, $3 integer batch, $4 integer first seq, $5 integer last seq
-- Returns device_id, desired and desired_version. Index: work_items and twins by their keys. A plain read.
SELECT t.device_id, t.desired, t.desired_version
FROM work_items i
JOIN twins t ON t.device_id = i.device_id
WHERE i.slot = $1::bigint AND i.job = $2::bigint AND i.seq BETWEEN $4::integer AND $5::integer
  AND i.batch = $3::integer AND i.state = 'succeeded'
