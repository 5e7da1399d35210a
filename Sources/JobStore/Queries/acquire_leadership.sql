-- Takes or renews the leadership of a role. A new holder gets a new term.
-- $1 text role, $2 text holder (one life of one process), $3 integer duration in milliseconds
-- Returns the term; no row when another holder is leading. Judged by this server's clock.
INSERT INTO leaders AS l (role, holder, term, expires_at)
VALUES ($1::text, $2::text, 1, clock_timestamp() + $3::integer * interval '1 millisecond')
ON CONFLICT (role) DO UPDATE
SET term = CASE WHEN l.holder = excluded.holder THEN l.term ELSE l.term + 1 END,
    holder = excluded.holder, expires_at = excluded.expires_at
WHERE l.holder = excluded.holder OR l.expires_at <= clock_timestamp()
RETURNING term
