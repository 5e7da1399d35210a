-- What the checks and the bookkeeping of a twin job cost: a patch of one level without metadata, versions, etag and
-- size, for comparison with bare_patch.
-- $1 text first device, $2 text last device, $3 text version, $4 integer interval
-- Rows: those of the range are counted by the command. Index: twins by its key. Safe: as bare_patch is.
UPDATE twins SET desired = desired || jsonb_build_object('version', $3::text, 'interval', $4::integer)
WHERE device_id >= $1::text AND device_id <= $2::text
