-- Functions that statements share. All are IMMUTABLE arithmetic on jsonb; none reads a table.

-- Size of a section by the wire contract: keys by characters, strings by characters without control characters,
-- numbers 8, Booleans 4, containers the sum of their members.
CREATE FUNCTION twin_size(document jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT CASE jsonb_typeof(document)
    WHEN 'object' THEN coalesce((SELECT sum(length(key) + twin_size(value)) FROM jsonb_each(document)), 0)
    WHEN 'array' THEN coalesce((SELECT sum(twin_size(value)) FROM jsonb_array_elements(document) AS e (value)), 0)
    WHEN 'string' THEN length(regexp_replace(document #>> '{}', '[\x01-\x1f\x7f-\x9f]', '', 'g'))
    WHEN 'number' THEN 8
    WHEN 'boolean' THEN 4
    ELSE 0 END $$;

-- True when a section fits. pg_column_size of a value just computed is its size in memory and never below twin_size
-- (each member costs a 4-byte entry and its bytes), so only documents near the limit are counted exactly. Not STRICT: a
-- strict function whose body is not provably strict is never inlined, and a call a row cost a quarter of the patch.
CREATE FUNCTION twin_fits(document jsonb, size_limit integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_column_size(document) <= size_limit OR twin_size(document) <= size_limit;

-- Depth of objects and arrays below the section: {} is 0, {"a":1} is 1.
CREATE FUNCTION twin_depth(document jsonb) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT CASE jsonb_typeof(document)
    WHEN 'object' THEN coalesce((SELECT 1 + max(twin_depth(value)) FROM jsonb_each(document)), 0)
    WHEN 'array' THEN coalesce((SELECT 1 + max(twin_depth(value)) FROM jsonb_array_elements(document) AS e (value)), 0)
    ELSE 0 END $$;

-- Every path of a section: keys joined by '.', with '' for the root. Arrays are leaves.
CREATE FUNCTION twin_paths(document jsonb, prefix text DEFAULT '') RETURNS SETOF text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    SELECT prefix
    UNION ALL
    SELECT path
    FROM jsonb_each(CASE WHEN jsonb_typeof(document) = 'object' THEN document ELSE '{}' END) AS m (key, value),
         LATERAL twin_paths(m.value, CASE WHEN prefix = '' THEN m.key ELSE prefix || '.' || m.key END) AS path
$$;

-- Metadata without the paths that no longer exist. Writers call it when the metadata has grown beyond 64 KiB, so that
-- an ordinary patch pays nothing.
CREATE FUNCTION twin_metadata(document jsonb, metadata jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(jsonb_object_agg(path, metadata -> path), '{}')
        FROM twin_paths(document) AS path WHERE metadata ? path);
