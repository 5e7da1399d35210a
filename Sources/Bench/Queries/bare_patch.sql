-- The limit of `bench twin-patch`: a bare statement with the effect that a twin job shows on each twin. It merges the
-- benchmark's patch into desired properties level by level, stamps the metadata of every path it touched, raises etag
-- and $version, leaves a twin alone whose etag is not the wanted one, and guards the size of the result.
-- $1 text first device, $2 text last device, $3 text version, $4 text url, $5 integer interval,
-- $6 bigint etag to ask for, or null, $7 integer largest size of desired properties
-- Rows: those that were changed are counted by the command. Index: twins by its key. Safe: one statement on a range of
-- its own; ranges of different callers do not overlap.
UPDATE twins AS t
SET etag = t.etag + 1,
    desired_version = t.desired_version + 1,
    desired = t.desired || jsonb_build_object(
        'firmware', CASE WHEN jsonb_typeof(t.desired -> 'firmware') = 'object'
                         THEN (t.desired -> 'firmware') - 'staged' ELSE '{}' END
            || jsonb_build_object('version', $3::text, 'url', $4::text, 'retry',
                CASE WHEN jsonb_typeof(t.desired -> 'firmware') = 'object'
                          AND jsonb_typeof(t.desired -> 'firmware' -> 'retry') = 'object'
                     THEN t.desired -> 'firmware' -> 'retry' ELSE '{}' END || '{"count": 3, "delay": 30}'),
        'telemetry', CASE WHEN jsonb_typeof(t.desired -> 'telemetry') = 'object'
                          THEN t.desired -> 'telemetry' ELSE '{}' END || jsonb_build_object('interval', $5::integer)),
    desired_metadata = (
        SELECT (t.desired_metadata - 'firmware.staged') || jsonb_build_object(
            '', stamp, 'firmware', stamp, 'firmware.version', stamp, 'firmware.url', stamp, 'firmware.retry', stamp,
            'firmware.retry.count', stamp, 'firmware.retry.delay', stamp, 'telemetry', stamp,
            'telemetry.interval', stamp)
        FROM (SELECT jsonb_build_array((extract(epoch FROM statement_timestamp()) * 1000000)::bigint,
                                       t.desired_version + 1) AS stamp OFFSET 0) AS s)
WHERE t.device_id >= $1::text AND t.device_id <= $2::text
  AND ($6::bigint IS NULL OR t.etag = $6::bigint)
  -- Two kilobytes: more than the patch can add. Only a twin that is that near the limit, or is stored compressed, is
  -- merged and counted as the contract counts.
  AND CASE WHEN pg_column_size(t.desired) < $7::integer - 2048 AND pg_column_compression(t.desired) IS NULL THEN true
           ELSE (SELECT coalesce(sum(CASE jsonb_typeof(node)
                     WHEN 'string' THEN length(regexp_replace(node #>> '{}', '[\x01-\x1f\x7f-\x9f]', '', 'g'))
                     WHEN 'number' THEN 8
                     WHEN 'boolean' THEN 4
                     WHEN 'object' THEN (SELECT coalesce(sum(length(key)), 0) FROM jsonb_object_keys(node) AS key)
                     ELSE 0 END), 0)
                 FROM jsonb_path_query(
                     t.desired || jsonb_build_object(
                         'firmware', CASE WHEN jsonb_typeof(t.desired -> 'firmware') = 'object'
                                          THEN (t.desired -> 'firmware') - 'staged' ELSE '{}' END
                             || jsonb_build_object('version', $3::text, 'url', $4::text, 'retry',
                                 CASE WHEN jsonb_typeof(t.desired -> 'firmware') = 'object'
                                           AND jsonb_typeof(t.desired -> 'firmware' -> 'retry') = 'object'
                                      THEN t.desired -> 'firmware' -> 'retry' ELSE '{}' END
                                 || '{"count": 3, "delay": 30}'),
                         'telemetry', CASE WHEN jsonb_typeof(t.desired -> 'telemetry') = 'object'
                                           THEN t.desired -> 'telemetry' ELSE '{}' END
                             || jsonb_build_object('interval', $5::integer)),
                     'strict $.**') AS node) <= $7::integer END
