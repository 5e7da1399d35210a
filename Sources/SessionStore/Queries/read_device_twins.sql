-- Twins as their devices read them: no tags, no metadata (wire contract 8.6).
-- $1 text[]: device ids.
-- Rows: one for each twin that exists. Index: twins_pkey. Safe: reads only.
SELECT t.device_id,
       jsonb_build_object(
           'desired', t.desired || jsonb_build_object('$version', t.desired_version),
           'reported', t.reported || jsonb_build_object('$version', t.reported_version))::text AS document
FROM twins AS t
WHERE t.device_id = ANY ($1::text[])
