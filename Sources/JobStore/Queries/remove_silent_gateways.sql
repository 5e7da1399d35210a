-- Declares gateways gone that have been silent: their open calls become unknown, their devices read disconnected.
-- $1 integer silence in ms
-- Returns gateway and incarnation of those that were removed. Safe: one that wakes up enters itself again.
WITH gone AS (
    DELETE FROM gateways WHERE seen_at < clock_timestamp() - $1::integer * interval '1 millisecond'
    RETURNING gateway, incarnation
), disconnected AS (
    UPDATE device_sessions s SET connected = false, connected_at = clock_timestamp()
    FROM gone g
    WHERE s.gateway = g.gateway AND s.incarnation = g.incarnation AND s.connected
)
SELECT gateway, incarnation FROM gone
