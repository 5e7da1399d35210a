-- Renews a worker's leases in one round trip.
-- KEYS: leases, holders, incarnation
-- ARGV: worker, lease in ms, then members
-- Result: array of incarnation (or '') and the members that are no longer the worker's. Complexity: O(members × log n).
-- A lease that has run out is lost even when nobody took it yet: the sweep may be about to.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lost = { redis.call('GET', KEYS[3]) or '' }
for index = 3, #ARGV do
    local member = ARGV[index]
    local lease = redis.call('ZSCORE', KEYS[1], member)
    if lease and tonumber(lease) > now and redis.call('HGET', KEYS[2], member) == ARGV[1] then
        redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), member)
    else
        lost[#lost + 1] = member
    end
end
return lost
