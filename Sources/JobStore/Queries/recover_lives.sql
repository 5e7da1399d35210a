-- After a restore or an asynchronous failover: forgets the processes of earlier lives, so that nobody waits for them.
-- $1 bigint by which terms and session numbers rise
-- Returns one row: workers, gateways and open sessions that were there. The leadership is free; a leader of before finds
-- another holder. Session numbers rise, because the directory takes the higher one and Redis may remember lost ones.
-- Safe to repeat. Writes one narrow row for each device that ever connected.
WITH worker AS (
    DELETE FROM workers RETURNING worker
), gateway AS (
    DELETE FROM gateways RETURNING gateway
), leader AS (
    UPDATE leaders SET holder = 'recover', term = term + $1::bigint, expires_at = clock_timestamp()
), open_session AS (
    SELECT count(*) AS sessions FROM device_sessions WHERE connected
), session AS (
    UPDATE device_sessions
    SET session = session + $1, connected = false,
        connected_at = CASE WHEN connected THEN clock_timestamp() ELSE connected_at END
)
SELECT (SELECT count(*) FROM worker) AS workers, (SELECT count(*) FROM gateway) AS gateways, sessions
FROM open_session
