-- Makes devices of a benchmark with a twin of ordinary size: nested tags, desired and reported properties, and the
-- metadata that writing them would have left.
-- $1 bigint number of the first device, $2 bigint number of the last, $3 bigint seed
-- Returns nothing. Ids are bench- and eight digits, so that their order is the numbers' order, and without leading
-- zeros, as simulated devices count. Safe: plain inserts.
WITH added AS (
    INSERT INTO devices (device_id, generation_id)
    SELECT 'bench-' || (10000000 + n), 'bench' FROM generate_series($1::bigint, $2::bigint) AS n
), mixed AS (
    SELECT n, hashint8extended(n, $3::bigint) & 1048575 AS h FROM generate_series($1, $2) AS n
)
INSERT INTO twins (device_id, tags, desired, reported, desired_metadata, reported_metadata)
SELECT 'bench-' || (10000000 + n),
       jsonb_build_object('region', 'r' || h % 8, 'ring', h % 5, 'location', jsonb_build_object(
           'plant', 'p' || h % 100, 'floor', h % 12)),
       jsonb_build_object(
           'firmware', jsonb_build_object('version', '1.' || h % 7 || '.0', 'channel', 'stable', 'staged', true,
               'retry', jsonb_build_object('count', 1, 'policy', 'linear')),
           'telemetry', jsonb_build_object('interval', 60, 'sensors', '["temperature", "humidity"]'::jsonb),
           'network', jsonb_build_object('ssid', 'site-' || h % 300, 'roaming', false)),
       jsonb_build_object(
           'firmware', jsonb_build_object('version', '1.' || h % 7 || '.0'),
           'battery', h % 101, 'uptime', h),
       (SELECT jsonb_object_agg(path, '[1700000000000000, 1]'::jsonb) FROM unnest('{"",firmware,firmware.version,
            firmware.channel,firmware.staged,firmware.retry,firmware.retry.count,firmware.retry.policy,telemetry,
            telemetry.interval,telemetry.sensors,network,network.ssid,network.roaming}'::text[]) AS path),
       (SELECT jsonb_object_agg(path, '[1700000000000000, 1]'::jsonb)
        FROM unnest('{"",firmware,firmware.version,battery,uptime}'::text[]) AS path)
FROM mixed
