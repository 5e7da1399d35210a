-- Declares gateways gone that have been silent: their open calls become unknown, their devices read disconnected.
-- $1 text[] gateways, $2 text[] incarnations, $3 bigint[] when each was last heard of, in microseconds since 1970
-- Returns gateway and incarnation of those that were removed. Safe: one that was heard of meanwhile stays; one that wakes
-- up later finds itself gone and begins a new life.
WITH gone AS (
    DELETE FROM gateways g
    USING unnest($1::text[], $2::text[], $3::bigint[]) AS s (gateway, incarnation, seen)
    WHERE g.gateway = s.gateway AND g.incarnation = s.incarnation
      AND (extract(epoch FROM g.seen_at) * 1000000)::bigint = s.seen
    RETURNING g.gateway, g.incarnation
), disconnected AS (
    UPDATE device_sessions s SET connected = false, connected_at = clock_timestamp()
    FROM gone g
    WHERE s.gateway = g.gateway AND s.incarnation = g.incarnation AND s.connected
)
SELECT gateway, incarnation FROM gone
