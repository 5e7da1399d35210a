-- Hands a part to a gateway, if the batch is still leased by the worker and it is not too late to send.
-- KEYS: leases (sorted set, member to the end of its lease in ms), holders (hash, member to worker), inbox (list)
-- ARGV: member, worker, send before in ms, messages that may wait, life of the inbox in ms, message
-- Result: 'pushed', 'leaseLost', 'late' or 'full'. Complexity: O(1).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now or redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    return 'leaseLost'
end
if now >= tonumber(ARGV[3]) then return 'late' end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('RPUSH', KEYS[3], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 'pushed'
