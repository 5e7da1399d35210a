-- Makes writers of policies wait for one another until the transaction ends; readers do not wait.
-- Rows: none. Safe: without it two creates could both see room for the last policy.
LOCK TABLE policies IN SHARE ROW EXCLUSIVE MODE
