-- The limit of `bench expand`: the items of all twins in one plain statement, with the product's keys and indexes.
-- $1 integer items per batch
-- Rows are counted by the command. Index: twins by its key, in order. Safe: nobody else writes bench_items.
INSERT INTO bench_items (slot, job, seq, device_id, batch)
SELECT 1, 1, position, device_id, position / $1::integer
FROM (SELECT device_id, (row_number() OVER (ORDER BY device_id) - 1)::integer AS position FROM twins) AS t
