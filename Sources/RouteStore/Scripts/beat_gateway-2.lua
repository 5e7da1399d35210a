-- A gateway's sign of life.
-- KEYS: gateways (sorted set, gateway to the end of its life in ms), routes (hash; no device has an empty name, so the
-- field '' names this life of the directory, and is lost with it, alone or with all of Redis)
-- ARGV: gateway, life in ms, a new random name for the directory
-- Result: array of the directory's name and the time in ms. Complexity: O(log gateways).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 600000)
redis.call('HSETNX', KEYS[2], '', ARGV[3])
return { redis.call('HGET', KEYS[2], ''), now }
