-- Ends the leadership of a holder at once, so that another need not wait for it to expire.
-- $1 text role, $2 text holder
-- Returns the role if it was the holder's.
UPDATE leaders SET expires_at = clock_timestamp() - interval '1 millisecond'
WHERE role = $1::text AND holder = $2::text
RETURNING role
