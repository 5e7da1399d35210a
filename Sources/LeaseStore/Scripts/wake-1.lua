-- Wakes one sleeper, unless enough tokens wait already.
-- KEYS: wake (list of wake-up tokens)
-- ARGV: the most tokens that may wait
-- Result: tokens that wait now. Complexity: O(1).
local waiting = redis.call('LLEN', KEYS[1])
if waiting < tonumber(ARGV[1]) then
    return redis.call('RPUSH', KEYS[1], '1')
end
return waiting
