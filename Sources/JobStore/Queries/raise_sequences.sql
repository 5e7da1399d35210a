-- After a restore or an asynchronous failover: numbers that lost commits may have given are not given again, neither to
-- jobs, by which gateways and Redis know calls and leases, nor as batches, nor as etags of device identities.
-- $1 bigint by which they rise
-- Returns one row. Not part of a transaction, as sequences are not. list_batches starts over at its end.
SELECT setval(pg_get_serial_sequence('jobs', 'job'), nextval(pg_get_serial_sequence('jobs', 'job')) + $1::bigint) AS job,
       setval('device_etags', nextval('device_etags') + $1) AS etag,
       setval('list_batches', 1000000000 + (nextval('list_batches') - 1000000000 + $1) % 1147483648) AS batch
