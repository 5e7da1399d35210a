-- Re-creates leases after Redis lost them, for batches whose fence is still the worker's in PostgreSQL.
-- KEYS: ready, leases, holders
-- ARGV: worker, lease in ms, then members
-- Result: array of the members that somebody else holds by now. Complexity: O(members × log n).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local refused = {}
for index = 3, #ARGV do
    local member = ARGV[index]
    local lease = redis.call('ZSCORE', KEYS[2], member)
    if lease and tonumber(lease) > now and redis.call('HGET', KEYS[3], member) ~= ARGV[1] then
        refused[#refused + 1] = member
    else
        redis.call('ZREM', KEYS[1], member)
        redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), member)
        redis.call('HSET', KEYS[3], member, ARGV[1])
    end
end
return refused
