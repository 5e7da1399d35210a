-- Forgets notices that were handed to gateways.
-- $1 text[]: devices. $2 bigint[]: versions (pairs).
-- Rows: none. Index: twin_notices_pkey. Safe: a pair names one change for ever.
DELETE FROM twin_notices AS n
USING unnest($1::text[], $2::bigint[]) AS d (device_id, version)
WHERE n.device_id = d.device_id AND n.version = d.version
