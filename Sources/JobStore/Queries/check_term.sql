-- Whether this process is still the leader under its term, by the clock of this server.
-- $1 text role, $2 text holder, $3 bigint term
-- Returns one row if so.
SELECT term FROM leaders
WHERE role = $1::text AND holder = $2::text AND term = $3::bigint AND expires_at > clock_timestamp()
