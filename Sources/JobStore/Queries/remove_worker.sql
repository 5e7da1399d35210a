-- A worker that has drained.
-- $1 text worker
-- Returns nothing.
DELETE FROM workers WHERE worker = $1::text
