-- After a restore or an asynchronous failover: raises versions and etags of a page of twins beyond what lost commits may
-- have given, so that devices take later desired versions as news and no old etag matches a new document.
-- $1 text the last device of the page before, or '', $2 integer limit, $3 bigint by which they rise
-- Returns one row: how many twins and the last device, null when none was left. Index: twins_pkey; no indexed column
-- changes. Safe to repeat: versions may have gaps.
WITH page AS MATERIALIZED (
    SELECT device_id FROM twins WHERE device_id > $1::text ORDER BY device_id LIMIT $2::integer FOR UPDATE
), raised AS (
    UPDATE twins t
    SET etag = t.etag + $3::bigint, desired_version = t.desired_version + $3,
        reported_version = t.reported_version + $3
    WHERE t.device_id = ANY (ARRAY(SELECT device_id FROM page))
), noticed AS (
    UPDATE twin_notices n SET version = n.version + $3
    WHERE n.device_id = ANY (ARRAY(SELECT device_id FROM page))
)
SELECT count(*) AS twins, max(device_id) AS last FROM page
