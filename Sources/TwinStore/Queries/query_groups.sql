-- A page of aggregated rows: one per group, or exactly one without GROUP BY.
-- $1 integer: most rows. $2 bigint: rows of the pages before. The compiler's parameters follow.
-- Columns, sources, condition and groups are the query compiler's output; user text is only in its parameters.
-- Rows: c0, c1 … as jsonb. Index: what the condition allows. A plain read; every page aggregates anew.
SELECT /*columns:*/ to_jsonb(count(*)) AS c0 /*:columns*/
FROM /*sources:*/ twins t /*:sources*/
WHERE (/*condition:*/ true /*:condition*/)
/*groups:*/ /*:groups*/
LIMIT $1 OFFSET $2
