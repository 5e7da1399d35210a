-- Locks twins in order of their ids and reads what a merge of reported properties needs.
-- $1 text[]: device ids.
-- Rows: one for each twin that exists. stamp is the time of the transaction in microseconds since 1970.
-- Index: twins_pkey. Safe: the locks hold until write_reported of the same transaction; all who lock several twins do it
-- in this order.
SELECT t.device_id, t.reported_version, t.reported, t.reported_metadata,
       (extract(epoch FROM now()) * 1000000)::bigint AS stamp
FROM twins AS t
WHERE t.device_id = ANY ($1::text[])
ORDER BY t.device_id
FOR UPDATE
