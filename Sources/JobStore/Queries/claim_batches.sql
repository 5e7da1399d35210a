-- Claims batches that the worker has leased: raises each fence, so that everyone who held it before can write nothing.
-- $1 bigint[] jobs, $2 integer[] batches (pairs), $3 text worker, $4 integer the least time in ms that must be left to
-- the deadline for calls to be dispatched
-- Returns what every later write must name. Zero rows for a batch is the ordinary answer: somebody else has it, it is
-- closed, or its job no longer runs. Of a cancelled job, and of a method job whose time is nearly over, only batches with
-- dispatches can be claimed: to ask what became of the calls.
-- Index: work_batches (job, batch), jobs_pkey, dispatches_pkey. The state is compared as text, so that no plan reads all
-- live batches by their partial index for each claim; the lists stand in subqueries and the pairs are made to look few, so
-- that the plan is a kept one by keys.
-- Safe when two claim at once: the row lock, then state = 'ready' on the newest version.
UPDATE work_batches b
SET state = 'claimed', fence = b.fence + 1, epoch = j.epoch, worker = $3::text, claimed_at = clock_timestamp()
FROM unnest((SELECT $1::bigint[]), (SELECT $2::integer[])) AS w (job, batch)
CROSS JOIN LATERAL (SELECT * FROM jobs WHERE job = w.job OFFSET 0) AS j
WHERE w.job > 0 AND w.batch >= 0
  AND b.job = w.job AND b.batch = w.batch AND b.state::text = 'ready'
  AND j.expired_at IS NULL AND j.deadline > clock_timestamp()
  AND (j.state = 'running' AND (j.type = 'scheduleUpdateTwin'
                                OR j.deadline > clock_timestamp() + $4::integer * interval '1 millisecond')
       OR j.state IN ('running', 'cancelling') AND EXISTS (SELECT FROM dispatches d WHERE d.job = b.job AND d.batch = b.batch))
RETURNING b.job, b.batch, b.fence, b.first_seq, b.last_seq, b.open, j.slot,
          (extract(epoch FROM j.deadline - clock_timestamp()) * 1000)::bigint AS time_left
