-- Forgets leases that ran out a while ago, so that batches of jobs that ended leave nothing behind.
-- KEYS: leases, holders
-- ARGV: age in ms, the most to forget
-- Result: how many were forgotten. Complexity: O(forgotten × log leases).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, tonumber(ARGV[2]))
for _, member in ipairs(old) do
    redis.call('ZREM', KEYS[1], member)
    redis.call('HDEL', KEYS[2], member)
end
return #old
