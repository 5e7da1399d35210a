-- Locks twins in order of their ids and reads what a merge needs; first half of a bulk twin update.
-- $1 text[]: device ids.
-- Rows: one for each twin that exists. stamp is the time of the transaction in microseconds since 1970.
-- Index: twins_pkey. Safe: the locks hold until write_twins of the same transaction; all who lock several twins do it in
-- this order.
SELECT t.device_id, encode(int8send(t.etag), 'base64') AS etag_text, t.desired_version, t.tags, t.desired,
       t.desired_metadata, (extract(epoch FROM now()) * 1000000)::bigint AS stamp
FROM twins AS t
WHERE t.device_id = ANY ($1::text[])
ORDER BY t.device_id
FOR UPDATE
