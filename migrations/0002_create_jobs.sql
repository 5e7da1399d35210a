-- Jobs, their batches and work items, leaders and workers.

CREATE TYPE job_state AS ENUM
    ('scheduled', 'queued', 'running', 'cancelling', 'completed', 'failed', 'cancelled');
CREATE TYPE batch_state AS ENUM ('ready', 'claimed', 'closed');
CREATE TYPE item_state AS ENUM ('pending', 'succeeded', 'failed', 'cancelled');

CREATE TABLE jobs (
    job             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- short key of all rows below
    job_id          text COLLATE "C" NOT NULL UNIQUE,                 -- the client's id
    type            text        NOT NULL CHECK (type IN ('scheduleUpdateTwin', 'scheduleDeviceMethod')),
    query_condition text        NOT NULL,
    action          jsonb       NOT NULL,             -- updateTwin or cloudToDeviceMethod, normalised
    request_digest  bytea       NOT NULL,             -- SHA-256 of the normalised request: is a repeated PUT the same job?
    state           job_state   NOT NULL,
    reason          text,                             -- why it is in that state, for people
    epoch           integer     NOT NULL DEFAULT 1,   -- raised by cancel and deadline; older claims stop
    slot            bigint,                           -- partition of its items; null before expansion
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    start_at        timestamptz NOT NULL,
    max_execution_seconds bigint NOT NULL CHECK (max_execution_seconds > 0),
    deadline        timestamptz NOT NULL,             -- max(start, created) + max_execution_seconds
    started_at      timestamptz,                      -- when it began to run
    expanded_at     timestamptz,                      -- when its last chunk was committed
    expired_at      timestamptz,                      -- when the deadline struck while items were open
    ended_at        timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE jobs IS 'One row per job';

-- The leader's work lists. Ended jobs, which are nearly all, are in neither.
CREATE INDEX jobs_due ON jobs (start_at) WHERE state IN ('scheduled', 'queued');
CREATE INDEX jobs_live ON jobs (job) WHERE state IN ('running', 'cancelling');
-- Lists: newest first, tie by id.
CREATE INDEX jobs_newest ON jobs (created_at DESC, job_id);

CREATE TABLE expansions (
    job         bigint  NOT NULL REFERENCES jobs ON DELETE CASCADE,
    chunk       integer NOT NULL,                     -- 0, 1, 2 … without gaps
    term        bigint  NOT NULL,                     -- the leader's term that wrote it
    last_device text COLLATE "C" NOT NULL,            -- the next chunk starts behind it
    item_count  integer NOT NULL,
    batch_count integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, chunk)                          -- a conflict means: another leader wrote this chunk
);
COMMENT ON TABLE expansions IS 'Committed chunks of each job; deviceCount is their sum';

CREATE TABLE work_batches (
    job        bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    batch      integer     NOT NULL,
    first_seq  integer     NOT NULL,                  -- items first_seq … last_seq of the job
    last_seq   integer     NOT NULL,
    state      batch_state NOT NULL DEFAULT 'ready',
    fence      bigint      NOT NULL DEFAULT 0,        -- raised at every claim; older writers change nothing
    epoch      integer     NOT NULL DEFAULT 0,        -- the job's epoch when it was claimed
    open       integer     NOT NULL,                  -- items without an outcome that belong to this batch
    worker     text,
    claimed_at timestamptz,
    PRIMARY KEY (job, batch)
) WITH (fillfactor = 50);
COMMENT ON TABLE work_batches IS 'The unit that is leased';
-- The sweep, the finish and the re-offer look at live batches only.
CREATE INDEX work_batches_live ON work_batches (job, batch) WHERE state <> 'closed';

CREATE TABLE work_items (
    slot       bigint     NOT NULL,
    job        bigint     NOT NULL,
    seq        integer    NOT NULL,                   -- in device_id order, from 0
    device_id  text COLLATE "C" NOT NULL,
    batch      integer    NOT NULL,                   -- owning batch, not indexed: reached through first_seq … last_seq
    state      item_state NOT NULL DEFAULT 'pending',
    attempt    smallint   NOT NULL DEFAULT 0,         -- executions begun
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),    -- last change; not null from the start, so that results stay HOT
    error_code text,
    error_text text,
    response   jsonb,                                 -- {"status":…,"payload":…} of an answered method
    PRIMARY KEY (slot, job, seq)
) PARTITION BY LIST (slot);
COMMENT ON TABLE work_items IS 'One device of one job: the row that SREs audit';
-- No index on a column that a result changes: results are HOT updates.
CREATE INDEX work_items_device ON work_items (device_id, job);

CREATE TABLE slots (
    slot       bigint      PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE slots IS 'Partitions of work_items: yyyymmdd for the small jobs of a day, 10^9 + job for a large job';

CREATE TABLE job_counters (
    job       bigint  NOT NULL REFERENCES jobs ON DELETE CASCADE,
    shard     integer NOT NULL,                       -- by worker, so that workers do not wait for one another
    succeeded bigint  NOT NULL DEFAULT 0,
    failed    bigint  NOT NULL DEFAULT 0,
    cancelled bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (job, shard)
) WITH (fillfactor = 30);
COMMENT ON TABLE job_counters IS 'Rolled-up outcomes, written only in the transaction that writes the outcomes';

CREATE TABLE job_events (
    job   bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    event bigint      GENERATED ALWAYS AS IDENTITY,
    at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text        NOT NULL,                       -- policy name of a caller, or leader:<process>
    kind  text        NOT NULL,                       -- created, started, expanded, cancelling, expired, ended …
    detail jsonb      NOT NULL DEFAULT '{}',
    PRIMARY KEY (job, event)
);
COMMENT ON TABLE job_events IS 'Append-only: who did what to a job, when, and why';

CREATE TABLE leaders (
    role       text PRIMARY KEY,
    holder     text        NOT NULL,
    term       bigint      NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE leaders IS 'Elected leaders, judged by the clock of this server';

CREATE TABLE workers (
    worker       text PRIMARY KEY,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    draining     boolean     NOT NULL DEFAULT false,
    items_done   bigint      NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON TABLE workers IS 'Heartbeats';
