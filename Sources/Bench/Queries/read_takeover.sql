-- What became of the batches that a worker held when it was killed: others claimed them, or a statement that was under way
-- at the server closed them.
-- $1 bigint[] jobs, $2 integer[] batches, $3 bigint[] fences under which it held them
-- Returns one row: open (still as the dead worker left them), taken (claimed by others), and last, when the last of these
-- was, in seconds since 1970, null when there is none. Index: work_batches by its key.
SELECT count(*) FILTER (WHERE b.fence = held.fence AND b.state = 'claimed' OR b.state = 'ready')::bigint AS open,
       count(*) FILTER (WHERE b.fence > held.fence AND b.state <> 'ready')::bigint AS taken,
       extract(epoch FROM max(b.claimed_at) FILTER (WHERE b.fence > held.fence))::float8 AS last
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS held (job, batch, fence)
JOIN work_batches b USING (job, batch)
