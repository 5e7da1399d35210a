-- Appends an event to a job's audit trail.
-- $1 bigint job, $2 text actor, $3 text kind, $4 jsonb detail
-- Returns nothing.
INSERT INTO job_events (job, actor, kind, detail) VALUES ($1::bigint, $2::text, $3::text, $4::jsonb)
