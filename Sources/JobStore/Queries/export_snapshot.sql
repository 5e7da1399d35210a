-- Takes the transaction's snapshot, and makes it importable by the transactions of an expansion's chunks.
-- Returns the snapshot's name; it is good while this transaction is open.
SELECT pg_export_snapshot() AS snapshot
