-- The living gateways.
-- Returns gateway and incarnation. Some dozens of rows.
SELECT gateway, incarnation FROM gateways
