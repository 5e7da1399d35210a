-- Writes merged reported properties; follows lock_reported in the same transaction.
-- $1 text[]: device ids, each once; $2 bigint[]: reported versions; $3 jsonb[]: reported; $4 jsonb[]: their metadata.
-- Rows: none. Index: twins_pkey. Safe: the caller holds the locks, so nothing changed since it merged.
UPDATE twins AS t
SET reported = g.reported, reported_metadata = g.metadata, reported_version = g.version
FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::jsonb[]) AS g (device_id, version, reported, metadata)
WHERE t.device_id = g.device_id
