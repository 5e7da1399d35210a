-- Gives the planner statistics of a partition that was just filled.
-- $1 bigint slot
-- Returns one row.
SELECT analyze_slot($1::bigint)
