-- The registry: policies, device identities, twins and sessions.

-- Ids are compared byte by byte everywhere: order, paging and lock order must not depend on a locale.

CREATE TABLE policies (
    name          text COLLATE "C" PRIMARY KEY,
    permissions   text[]      NOT NULL,               -- of RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect
    primary_key   bytea       NOT NULL,               -- raw key; the wire shows it in base64
    secondary_key bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (octet_length(primary_key) BETWEEN 16 AND 64 AND octet_length(secondary_key) BETWEEN 16 AND 64)
);
COMMENT ON TABLE policies IS 'Shared access policies that sign service tokens; at most 16';

-- gen_random_uuid() draws 122 bits from the server's strong random source; SHA-256 over three of them and a domain
-- word leaves no structure of a UUID in the key.
INSERT INTO policies (name, permissions, primary_key, secondary_key)
SELECT p.name, p.permissions,
       sha256(convert_to('primary' || gen_random_uuid() || gen_random_uuid() || gen_random_uuid(), 'UTF8')),
       sha256(convert_to('secondary' || gen_random_uuid() || gen_random_uuid() || gen_random_uuid(), 'UTF8'))
FROM (VALUES ('iothubowner', '{RegistryRead,RegistryWrite,ServiceConnect,DeviceConnect}'::text[]),
             ('service', '{ServiceConnect}'),
             ('device', '{DeviceConnect}'),
             ('registryRead', '{RegistryRead}'),
             ('registryReadWrite', '{RegistryRead,RegistryWrite}')) AS p (name, permissions);

CREATE SEQUENCE device_etags AS bigint;
COMMENT ON SEQUENCE device_etags IS 'Identity etags: unique, so that delete and recreate never repeats one';

CREATE TABLE devices (
    device_id           text COLLATE "C" PRIMARY KEY,
    generation_id       text        NOT NULL,         -- changes on delete and recreate
    etag                bigint      NOT NULL DEFAULT nextval('device_etags'),
    status              text        NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled')),
    status_reason       text,
    status_updated_at   timestamptz,                  -- null: never changed
    authentication_type text        NOT NULL DEFAULT 'sas'
        CHECK (authentication_type IN ('sas', 'selfSigned', 'certificateAuthority', 'none')),
    primary_key         bytea,
    secondary_key       bytea,
    primary_thumbprint  text,
    secondary_thumbprint text,
    edge                boolean     NOT NULL DEFAULT false,
    model_id            text        NOT NULL DEFAULT '',
    created_at          timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE devices IS 'Device identities; each has one row in twins';

CREATE TABLE twins (
    device_id        text COLLATE "C" PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    -- versions of the wire contract: etag counts service writes, desired and reported count theirs
    etag             bigint NOT NULL DEFAULT 1,
    desired_version  bigint NOT NULL DEFAULT 1,
    reported_version bigint NOT NULL DEFAULT 1,
    tags             jsonb  NOT NULL DEFAULT '{}',
    desired          jsonb  NOT NULL DEFAULT '{}',
    reported         jsonb  NOT NULL DEFAULT '{}',
    -- Compact metadata: an object from path (keys joined by '.', '' is the root; keys hold no '.') to
    -- [microseconds since 1970, $version of the write]. Rendered as $metadata at read. A path that no longer exists in
    -- the document may linger until it is pruned; readers walk the document, so they never see it.
    desired_metadata  jsonb NOT NULL DEFAULT '{}',
    reported_metadata jsonb NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);  -- room for a second version on the page: 150k against 122k patches/s end to end
COMMENT ON TABLE twins IS 'Twin documents. Wide rows; session state lives in device_sessions';

-- Equality on tags. jsonb_path_ops: smaller than the default class and serves @>, which is all that is asked.
CREATE INDEX twins_tags ON twins USING gin (tags jsonb_path_ops);

CREATE TABLE device_sessions (
    device_id        text COLLATE "C" PRIMARY KEY REFERENCES devices ON DELETE CASCADE,
    gateway          text,
    incarnation      text,
    session          bigint      NOT NULL DEFAULT 0,
    subscriptions    text[]      NOT NULL DEFAULT '{}',
    connected        boolean     NOT NULL DEFAULT false,
    connected_at     timestamptz,                     -- last change of connected
    last_activity_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE device_sessions IS 'One row for each device that ever connected';
