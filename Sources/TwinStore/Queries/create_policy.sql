-- Creates a shared access policy, after lock_policies in the same transaction.
-- $1 text: name. $2 text[]: permissions. $3 bytea: primary key. $4 bytea: secondary key. $5 integer: most policies.
-- Rows: one with outcome: created, exists or full. Index: policies_pkey.
WITH room AS (
    SELECT count(*) < $5 AS is_free, coalesce(bool_or(name = $1), false) AS is_taken FROM policies
), created AS (
    INSERT INTO policies (name, permissions, primary_key, secondary_key)
    SELECT $1, $2::text[], $3::bytea, $4::bytea FROM room WHERE is_free AND NOT is_taken
    RETURNING name
)
SELECT CASE WHEN is_taken THEN 'exists' WHEN NOT is_free THEN 'full' ELSE 'created' END AS outcome FROM room
