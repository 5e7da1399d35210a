-- pg_dump of PostgreSQL 15 after all migrations; see README.md, rule 6.

CREATE TYPE public.batch_state AS ENUM (
    'ready',
    'claimed',
    'closed'
);

CREATE TYPE public.item_state AS ENUM (
    'pending',
    'succeeded',
    'failed',
    'cancelled'
);

CREATE TYPE public.job_state AS ENUM (
    'scheduled',
    'queued',
    'running',
    'cancelling',
    'completed',
    'failed',
    'cancelled'
);

CREATE FUNCTION public.analyze_slot(of_slot bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    EXECUTE format('ANALYZE %I', format('work_items_%s', of_slot));
END
$$;

CREATE FUNCTION public.create_slot(new_slot bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    partition text := format('work_items_%s', new_slot);
    -- A slot of a job's own is 10^9 + job; the others are days, whose small jobs are of all kinds.
    has_answers boolean := NOT EXISTS (SELECT FROM jobs
                                       WHERE job = new_slot - 1000000000 AND type <> 'scheduleDeviceMethod');
BEGIN
    INSERT INTO slots (slot) VALUES (new_slot) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE work_items INCLUDING ALL) WITH (fillfactor = %s)', partition,
                   CASE WHEN has_answers THEN 35 ELSE 50 END);
    EXECUTE format('ALTER TABLE work_items ATTACH PARTITION %I FOR VALUES IN (%L)', partition, new_slot);
    RETURN true;
END
$$;

CREATE FUNCTION public.twin_depth(document jsonb) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE jsonb_typeof(document)
    WHEN 'object' THEN coalesce((SELECT 1 + max(twin_depth(value)) FROM jsonb_each(document)), 0)
    WHEN 'array' THEN coalesce((SELECT 1 + max(twin_depth(value)) FROM jsonb_array_elements(document) AS e (value)), 0)
    ELSE 0 END $$;

CREATE FUNCTION public.twin_size(document jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE jsonb_typeof(document)
    WHEN 'object' THEN coalesce((SELECT sum(length(key) + twin_size(value)) FROM jsonb_each(document)), 0)
    WHEN 'array' THEN coalesce((SELECT sum(twin_size(value)) FROM jsonb_array_elements(document) AS e (value)), 0)
    WHEN 'string' THEN length(regexp_replace(document #>> '{}', '[\x01-\x1f\x7f-\x9f]', '', 'g'))
    WHEN 'number' THEN 8
    WHEN 'boolean' THEN 4
    ELSE 0 END $$;

CREATE FUNCTION public.twin_fits(document jsonb, size_limit integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((pg_column_size(document) <= size_limit) OR (public.twin_size(document) <= size_limit));

CREATE FUNCTION public.twin_paths(document jsonb, prefix text DEFAULT ''::text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT prefix
    UNION ALL
    SELECT path
    FROM jsonb_each(CASE WHEN jsonb_typeof(document) = 'object' THEN document ELSE '{}' END) AS m (key, value),
         LATERAL twin_paths(m.value, CASE WHEN prefix = '' THEN m.key ELSE prefix || '.' || m.key END) AS path
$$;

CREATE FUNCTION public.twin_metadata(document jsonb, metadata jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT COALESCE(jsonb_object_agg(path.path, (twin_metadata.metadata -> path.path)), '{}'::jsonb) AS "coalesce" FROM public.twin_paths(twin_metadata.document) path(path) WHERE (twin_metadata.metadata ? path.path));

CREATE SEQUENCE public.device_etags
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

COMMENT ON SEQUENCE public.device_etags IS 'Identity etags: unique, so that delete and recreate never repeats one';

CREATE TABLE public.device_sessions (
    device_id text NOT NULL COLLATE pg_catalog."C",
    gateway text,
    incarnation text,
    session bigint DEFAULT 0 NOT NULL,
    subscriptions text[] DEFAULT '{}'::text[] NOT NULL,
    connected boolean DEFAULT false NOT NULL,
    connected_at timestamp with time zone,
    last_activity_at timestamp with time zone
)
WITH (fillfactor='70');

COMMENT ON TABLE public.device_sessions IS 'One row for each device that ever connected';

CREATE TABLE public.devices (
    device_id text NOT NULL COLLATE pg_catalog."C",
    generation_id text NOT NULL,
    etag bigint DEFAULT nextval('public.device_etags'::regclass) NOT NULL,
    status text DEFAULT 'enabled'::text NOT NULL,
    status_reason text,
    status_updated_at timestamp with time zone,
    authentication_type text DEFAULT 'sas'::text NOT NULL,
    primary_key bytea,
    secondary_key bytea,
    primary_thumbprint text,
    secondary_thumbprint text,
    edge boolean DEFAULT false NOT NULL,
    model_id text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT devices_authentication_type_check CHECK ((authentication_type = ANY (ARRAY['sas'::text, 'selfSigned'::text, 'certificateAuthority'::text, 'none'::text]))),
    CONSTRAINT devices_status_check CHECK ((status = ANY (ARRAY['enabled'::text, 'disabled'::text])))
);

COMMENT ON TABLE public.devices IS 'Device identities; each has one row in twins';

CREATE TABLE public.dispatches (
    dispatch bigint NOT NULL,
    job bigint NOT NULL,
    batch integer NOT NULL,
    fence bigint NOT NULL,
    gateway text NOT NULL,
    incarnation text NOT NULL,
    seqs integer[] NOT NULL,
    send_before bigint NOT NULL,
    response_ms integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.dispatches IS 'What was about to be sent to which gateway, committed before it was handed over';

ALTER TABLE public.dispatches ALTER COLUMN dispatch ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dispatches_dispatch_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.expansions (
    job bigint NOT NULL,
    chunk integer NOT NULL,
    term bigint NOT NULL,
    last_device text NOT NULL COLLATE pg_catalog."C",
    item_count integer NOT NULL,
    batch_count integer NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.expansions IS 'Committed chunks of each job; deviceCount is their sum';

CREATE TABLE public.gateways (
    gateway text NOT NULL,
    incarnation text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='10');

COMMENT ON TABLE public.gateways IS 'Living gateways; an incarnation that is not here is gone, and so is what it held';

CREATE TABLE public.job_counters (
    job bigint NOT NULL,
    shard integer NOT NULL,
    succeeded bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='30');

COMMENT ON TABLE public.job_counters IS 'Rolled-up outcomes, written only in the transaction that writes the outcomes';

CREATE TABLE public.job_events (
    job bigint NOT NULL,
    event bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    kind text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

COMMENT ON TABLE public.job_events IS 'Append-only: who did what to a job, when, and why';

ALTER TABLE public.job_events ALTER COLUMN event ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.job_events_event_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.jobs (
    job bigint NOT NULL,
    job_id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL,
    query_condition text NOT NULL,
    action jsonb NOT NULL,
    request_digest bytea NOT NULL,
    state public.job_state NOT NULL,
    reason text,
    epoch integer DEFAULT 1 NOT NULL,
    slot bigint,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    start_at timestamp with time zone NOT NULL,
    max_execution_seconds bigint NOT NULL,
    deadline timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    expanded_at timestamp with time zone,
    expired_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT jobs_max_execution_seconds_check CHECK ((max_execution_seconds > 0)),
    CONSTRAINT jobs_type_check CHECK ((type = ANY (ARRAY['scheduleUpdateTwin'::text, 'scheduleDeviceMethod'::text])))
)
WITH (fillfactor='70');

COMMENT ON TABLE public.jobs IS 'One row per job';

CREATE TABLE public.work_batches (
    job bigint NOT NULL,
    batch integer NOT NULL,
    first_seq integer NOT NULL,
    last_seq integer NOT NULL,
    state public.batch_state DEFAULT 'ready'::public.batch_state NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    epoch integer DEFAULT 0 NOT NULL,
    open integer NOT NULL,
    worker text,
    claimed_at timestamp with time zone,
    seqs integer[],
    to_notify boolean DEFAULT false NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE public.work_batches IS 'The unit that is leased';

CREATE VIEW public.job_statistics AS
 SELECT j.job,
    d.devices,
    ((((d.devices - r.running) - c.succeeded) - c.failed) - c.cancelled) AS pending,
    r.running,
    c.succeeded,
    c.failed,
    c.cancelled
   FROM (((public.jobs j
     CROSS JOIN LATERAL ( SELECT COALESCE(sum(expansions.item_count), (0)::bigint) AS devices
           FROM public.expansions
          WHERE (expansions.job = j.job)) d)
     CROSS JOIN LATERAL ( SELECT COALESCE(sum(work_batches.open), (0)::bigint) AS running
           FROM public.work_batches
          WHERE ((work_batches.job = j.job) AND (work_batches.state = 'claimed'::public.batch_state))) r)
     CROSS JOIN LATERAL ( SELECT (COALESCE(sum(job_counters.succeeded), (0)::numeric))::bigint AS succeeded,
            (COALESCE(sum(job_counters.failed), (0)::numeric))::bigint AS failed,
            (COALESCE(sum(job_counters.cancelled), (0)::numeric))::bigint AS cancelled
           FROM public.job_counters
          WHERE (job_counters.job = j.job)) c);

COMMENT ON VIEW public.job_statistics IS 'deviceJobStatistics of every job, each row from one snapshot';

ALTER TABLE public.jobs ALTER COLUMN job ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.jobs_job_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.leaders (
    role text NOT NULL,
    holder text NOT NULL,
    term bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
)
WITH (fillfactor='10');

COMMENT ON TABLE public.leaders IS 'Elected leaders, judged by the clock of this server';

CREATE SEQUENCE public.list_batches
    AS integer
    START WITH 1000000000
    INCREMENT BY 1
    MINVALUE 1000000000
    NO MAXVALUE
    CACHE 1
    CYCLE;

CREATE TABLE public.policies (
    name text NOT NULL COLLATE pg_catalog."C",
    permissions text[] NOT NULL,
    primary_key bytea NOT NULL,
    secondary_key bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT policies_check CHECK ((((octet_length(primary_key) >= 16) AND (octet_length(primary_key) <= 64)) AND ((octet_length(secondary_key) >= 16) AND (octet_length(secondary_key) <= 64))))
);

COMMENT ON TABLE public.policies IS 'Shared access policies that sign service tokens; at most 16';

CREATE TABLE public.slots (
    slot bigint NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.slots IS 'Partitions of work_items: yyyymmdd for the small jobs of a day, 10^9 + job for a large job';

CREATE TABLE public.twin_notices (
    device_id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    patch jsonb NOT NULL,
    marked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.twin_notices IS 'Desired changes of single twins that their devices may not have been told of';

CREATE TABLE public.twins (
    device_id text NOT NULL COLLATE pg_catalog."C",
    etag bigint DEFAULT 1 NOT NULL,
    desired_version bigint DEFAULT 1 NOT NULL,
    reported_version bigint DEFAULT 1 NOT NULL,
    tags jsonb DEFAULT '{}'::jsonb NOT NULL,
    desired jsonb DEFAULT '{}'::jsonb NOT NULL,
    reported jsonb DEFAULT '{}'::jsonb NOT NULL,
    desired_metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    reported_metadata jsonb DEFAULT '{}'::jsonb NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE public.twins IS 'Twin documents. Wide rows; session state lives in device_sessions';

CREATE TABLE public.waiting (
    device_id text NOT NULL COLLATE pg_catalog."C",
    job bigint NOT NULL,
    slot bigint NOT NULL,
    seq integer NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE public.waiting IS 'Parked items: their devices are not connected; the item''s batch is -1 meanwhile';

CREATE TABLE public.work_items (
    slot bigint NOT NULL,
    job bigint NOT NULL,
    seq integer NOT NULL,
    device_id text NOT NULL COLLATE pg_catalog."C",
    batch integer NOT NULL,
    state public.item_state DEFAULT 'pending'::public.item_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    error_code text,
    error_text text,
    response jsonb
)
PARTITION BY LIST (slot);

COMMENT ON TABLE public.work_items IS 'One device of one job: the row that SREs audit';

CREATE TABLE public.workers (
    worker text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    draining boolean DEFAULT false NOT NULL,
    items_done bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

COMMENT ON TABLE public.workers IS 'Heartbeats';

ALTER TABLE ONLY public.device_sessions
    ADD CONSTRAINT device_sessions_pkey PRIMARY KEY (device_id);

ALTER TABLE ONLY public.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (device_id);

ALTER TABLE ONLY public.dispatches
    ADD CONSTRAINT dispatches_pkey PRIMARY KEY (job, batch, dispatch);

ALTER TABLE ONLY public.expansions
    ADD CONSTRAINT expansions_pkey PRIMARY KEY (job, chunk);

ALTER TABLE ONLY public.gateways
    ADD CONSTRAINT gateways_pkey PRIMARY KEY (gateway, incarnation);

ALTER TABLE ONLY public.job_counters
    ADD CONSTRAINT job_counters_pkey PRIMARY KEY (job, shard);

ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_pkey PRIMARY KEY (job, event);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_job_id_key UNIQUE (job_id);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (job);

ALTER TABLE ONLY public.leaders
    ADD CONSTRAINT leaders_pkey PRIMARY KEY (role);

ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.slots
    ADD CONSTRAINT slots_pkey PRIMARY KEY (slot);

ALTER TABLE ONLY public.twin_notices
    ADD CONSTRAINT twin_notices_pkey PRIMARY KEY (device_id, version);

ALTER TABLE ONLY public.twins
    ADD CONSTRAINT twins_pkey PRIMARY KEY (device_id);

ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_pkey PRIMARY KEY (device_id, job);

ALTER TABLE ONLY public.work_batches
    ADD CONSTRAINT work_batches_pkey PRIMARY KEY (job, batch);

ALTER TABLE ONLY public.work_items
    ADD CONSTRAINT work_items_pkey PRIMARY KEY (slot, job, seq);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (worker);

CREATE INDEX jobs_due ON public.jobs USING btree (start_at) WHERE (state = ANY (ARRAY['scheduled'::public.job_state, 'queued'::public.job_state]));

CREATE INDEX jobs_live ON public.jobs USING btree (job) WHERE (state = ANY (ARRAY['running'::public.job_state, 'cancelling'::public.job_state]));

CREATE INDEX jobs_newest ON public.jobs USING btree (created_at DESC, job_id);

CREATE INDEX twins_tags ON public.twins USING gin (tags jsonb_path_ops);

CREATE INDEX waiting_job ON public.waiting USING btree (job, seq);

CREATE INDEX work_batches_live ON public.work_batches USING btree (job, batch) WHERE (state <> 'closed'::public.batch_state);

CREATE INDEX work_batches_to_notify ON public.work_batches USING btree (job, batch) WHERE to_notify;

CREATE INDEX work_items_device ON ONLY public.work_items USING btree (device_id, job);

ALTER TABLE ONLY public.device_sessions
    ADD CONSTRAINT device_sessions_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(device_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.dispatches
    ADD CONSTRAINT dispatches_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;

ALTER TABLE ONLY public.expansions
    ADD CONSTRAINT expansions_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_counters
    ADD CONSTRAINT job_counters_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;

ALTER TABLE ONLY public.job_events
    ADD CONSTRAINT job_events_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;

ALTER TABLE ONLY public.twin_notices
    ADD CONSTRAINT twin_notices_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(device_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.twins
    ADD CONSTRAINT twins_device_id_fkey FOREIGN KEY (device_id) REFERENCES public.devices(device_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT waiting_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;

ALTER TABLE ONLY public.work_batches
    ADD CONSTRAINT work_batches_job_fkey FOREIGN KEY (job) REFERENCES public.jobs(job) ON DELETE CASCADE;
