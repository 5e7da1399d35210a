-- The first devices that a condition selects, in device order.
-- $1 text device to start behind, or null, $2 integer limit; the condition's parameters follow
-- Returns device_id. The condition is the query compiler's output; user text is only in its parameters.
SELECT t.device_id
FROM /*sources:*/ twins t /*:sources*/
WHERE (/*condition:*/ true /*:condition*/) AND ($1::text IS NULL OR t.device_id > $1)
ORDER BY t.device_id
LIMIT $2::integer
