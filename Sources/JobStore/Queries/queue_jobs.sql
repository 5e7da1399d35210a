-- Marks due jobs that could not start, because too many run, as queued.
-- Returns the marked jobs. Index: jobs_due. Safe at any time: a start takes both states.
UPDATE jobs SET state = 'queued'
WHERE state = 'scheduled' AND start_at <= clock_timestamp()
RETURNING job
