-- Enters one life of a gateway among the living.
-- $1 text: gateway; $2 text: its incarnation, which no other life has.
-- Rows: none. Index: gateways_pkey. Safe: repeating it is a sign of life.
INSERT INTO gateways (gateway, incarnation) VALUES ($1, $2)
ON CONFLICT (gateway, incarnation) DO UPDATE SET seen_at = clock_timestamp()
