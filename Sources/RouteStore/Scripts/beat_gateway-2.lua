-- A gateway's sign of life.
-- KEYS: gateways (sorted set, gateway to the end of its life in ms), incarnation (string)
-- ARGV: gateway, life in ms, a new random name for Redis' content
-- Result: array of incarnation and the time in ms. Complexity: O(log gateways).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 600000)
redis.call('SET', KEYS[2], ARGV[3], 'NX')
return { redis.call('GET', KEYS[2]), now }
