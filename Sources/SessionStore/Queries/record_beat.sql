-- A gateway's sign of life.
-- $1 text: gateway; $2 text: its incarnation.
-- Rows: one, unless others have declared this life ended. Index: gateways_pkey. Safe: never brings a life back.
UPDATE gateways SET seen_at = clock_timestamp() WHERE gateway = $1 AND incarnation = $2 RETURNING true AS alive
