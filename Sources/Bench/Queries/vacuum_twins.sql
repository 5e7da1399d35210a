-- Frees the room of dead versions and sets visibility and statistics, so that each round finds the table alike.
-- Returns nothing. Must run outside of a transaction. Safe at any time.
VACUUM (ANALYZE) twins
