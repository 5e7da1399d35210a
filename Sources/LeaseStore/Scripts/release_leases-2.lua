-- Ends leases that the worker no longer needs: the batch is closed or goes back.
-- KEYS: leases, holders
-- ARGV: worker, then members
-- Result: how many were the worker's. Complexity: O(members × log leases).
local released = 0
for index = 2, #ARGV do
    if redis.call('HGET', KEYS[2], ARGV[index]) == ARGV[1] then
        redis.call('HDEL', KEYS[2], ARGV[index])
        released = released + redis.call('ZREM', KEYS[1], ARGV[index])
    end
end
return released
