-- Takes all batches of a job out of the offers, because the job is being ended.
-- KEYS: ready
-- ARGV: job (19 digits)
-- Result: how many were forgotten. Complexity: O(log ready + batches of the job).
return redis.call('ZREMRANGEBYLEX', KEYS[1], '[' .. ARGV[1] .. ':', '(' .. ARGV[1] .. ';')
