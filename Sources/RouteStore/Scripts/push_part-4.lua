-- Hands a part to a gateway, if the batch is still leased by the worker, it is not too late to send, and the gateway
-- lives: one that leaves reads its inbox to the end, and nothing comes after that.
-- KEYS: leases (sorted set, member to the end of its lease in ms), holders (hash, member to worker), inbox (list),
-- gateways (sorted set, gateway to the end of its life in ms)
-- ARGV: member, worker, send before in ms, messages that may wait, life of the inbox in ms, message,
-- gateway
-- Result: 'pushed', 'leaseLost', 'late', 'gone' or 'full'. Complexity: O(log gateways).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lease or tonumber(lease) <= now or redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then
    return 'leaseLost'
end
if now >= tonumber(ARGV[3]) then return 'late' end
local life = redis.call('ZSCORE', KEYS[4], ARGV[7])
if not life or tonumber(life) <= now then return 'gone' end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('RPUSH', KEYS[3], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 'pushed'
