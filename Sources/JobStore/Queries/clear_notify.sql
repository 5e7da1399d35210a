-- Takes the marks off batches whose devices have been told of their new desired properties.
-- $1 bigint[] jobs, $2 integer[] batches (pairs)
-- Returns nothing. Index: work_batches (job, batch). Safe: telling twice is harmless, and nothing marks a closed batch.
UPDATE work_batches b SET to_notify = false
FROM unnest($1::bigint[], $2::integer[]) AS w (job, batch)
WHERE b.job = w.job AND b.batch = w.batch AND b.to_notify
