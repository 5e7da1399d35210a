-- The living gateways.
-- Returns gateway, incarnation, and when each was last heard of, in microseconds since 1970. Some dozens of rows.
SELECT gateway, incarnation, (extract(epoch FROM seen_at) * 1000000)::bigint AS seen FROM gateways
