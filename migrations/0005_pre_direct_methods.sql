-- Direct methods: gateways, dispatches, parked items; marks for desired changes that devices have not been told of.

CREATE TABLE gateways (
    gateway     text NOT NULL,
    incarnation text NOT NULL,                        -- one life of the process
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (gateway, incarnation)
) WITH (fillfactor = 10);                             -- a heartbeat a second: room for HOT updates
COMMENT ON TABLE gateways IS 'Living gateways; an incarnation that is not here is gone, and so is what it held';

-- A list instead of a range: items that come from all over the job, because their devices came online.
ALTER TABLE work_batches ADD COLUMN seqs integer[];
-- Desired properties were changed and the devices may not have been told yet.
ALTER TABLE work_batches ADD COLUMN to_notify boolean NOT NULL DEFAULT false;
CREATE INDEX work_batches_to_notify ON work_batches (job, batch) WHERE to_notify;

-- Numbers of list batches: above those that an expansion gives (2 * 10^9 devices in batches of 20 and more).
CREATE SEQUENCE list_batches AS integer MINVALUE 1000000000 MAXVALUE 2147483647 CYCLE;

CREATE TABLE waiting (
    device_id text COLLATE "C" NOT NULL,
    job       bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    slot      bigint      NOT NULL,
    seq       integer     NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (device_id, job)                      -- a device that connects asks by its id
);
COMMENT ON TABLE waiting IS 'Parked items: their devices are not connected; the item''s batch is -1 meanwhile';
CREATE INDEX waiting_job ON waiting (job, seq);       -- the end of a job takes what is left

CREATE TABLE dispatches (
    dispatch    bigint GENERATED ALWAYS AS IDENTITY,
    job         bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    batch       integer     NOT NULL,
    fence       bigint      NOT NULL,                 -- of the claim under which it was made
    gateway     text        NOT NULL,
    incarnation text        NOT NULL,
    seqs        integer[]   NOT NULL,                 -- the items that were about to be sent
    send_before bigint      NOT NULL,                 -- milliseconds of Redis' clock; the gateway sends nothing later
    response_ms integer     NOT NULL,                 -- how long the gateway waits for an answer
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (job, batch, dispatch)
);
COMMENT ON TABLE dispatches IS 'What was about to be sent to which gateway, committed before it was handed over';

CREATE TABLE twin_notices (
    device_id text COLLATE "C" NOT NULL REFERENCES devices ON DELETE CASCADE,
    version   bigint      NOT NULL,                   -- the desired $version that the change made
    patch     jsonb       NOT NULL,                   -- what the device is told, without $version
    marked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (device_id, version)
);
COMMENT ON TABLE twin_notices IS 'Desired changes of single twins that their devices may not have been told of';
