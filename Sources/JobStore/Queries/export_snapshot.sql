-- Makes the transaction's snapshot importable by the transactions of the chunks.
-- Returns the snapshot's name; it is good while this transaction is open.
SELECT pg_export_snapshot() AS snapshot
