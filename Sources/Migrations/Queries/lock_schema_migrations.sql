-- Makes migrators queue: one at a time, until the end of the transaction (so it works behind PgBouncer too).
-- No parameters; one row without meaning. The key is the ASCII text "muster" as a number, and used for nothing else.
SELECT pg_advisory_xact_lock(120330823365234)
