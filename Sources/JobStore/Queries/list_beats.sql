-- Who has said that it lives: workers, gateways, and the leader by the end of its term of office.
-- Returns kind, name, the beat in microseconds since 1970, and its age in milliseconds by this server's clock, which is
-- negative for a leader. Some dozens of rows.
SELECT kind, name, (extract(epoch FROM beat) * 1000000)::bigint AS beat,
       (extract(epoch FROM clock_timestamp() - beat) * 1000)::bigint AS age
FROM (SELECT 'worker' AS kind, worker AS name, seen_at AS beat FROM workers
      UNION ALL
      SELECT 'gateway', gateway || '~' || incarnation, seen_at FROM gateways
      UNION ALL
      SELECT 'leader', holder, expires_at FROM leaders) b
ORDER BY kind, name
