-- A page of projected rows, one per device that a compiled condition selects, in order of their ids.
-- $1 text: last id of the page before, '' for the first. $2 integer: most rows. The compiler's parameters follow.
-- Columns, sources and condition are the query compiler's output; user text is only in its parameters.
-- Rows: device_id, and c0, c1 … as jsonb. Index: twins_pkey in order, or what the condition allows. A plain read.
SELECT t.device_id, /*columns:*/ t.tags AS c0 /*:columns*/
FROM /*sources:*/ twins t /*:sources*/
WHERE (/*condition:*/ true /*:condition*/) AND t.device_id > $1
ORDER BY t.device_id
LIMIT $2
