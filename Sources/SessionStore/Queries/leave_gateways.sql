-- Takes one life of a gateway from the living.
-- $1 text: gateway; $2 text: its incarnation.
-- Rows: none. Index: gateways_pkey. Safe: repeating it changes nothing.
DELETE FROM gateways WHERE gateway = $1 AND incarnation = $2
