-- What decides over the CONNECT of each device.
-- $1 text[]: device ids.
-- Rows: one for each device that exists. Index: devices_pkey. Safe: reads only.
SELECT d.device_id, d.status = 'enabled' AS enabled, d.authentication_type = 'sas' AS uses_keys, d.primary_key,
       d.secondary_key
FROM devices AS d
WHERE d.device_id = ANY ($1::text[])
