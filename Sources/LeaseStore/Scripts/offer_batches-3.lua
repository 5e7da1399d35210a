-- Offers ready batches to the workers and wakes as many as may be needed.
-- KEYS: ready (sorted set, all scores 0, member <job, 19 digits>:<batch, 10 digits>), leases (sorted set, member to the
-- end of its lease in ms), wake (list of wake-up tokens)
-- ARGV: the most tokens that may wait, lease in ms, then members
-- Result: how many were new. Complexity: O(batches × log ready).
-- A batch that is offered already or under a live lease stays as it is, so offering again is harmless. A lease of a clock
-- that was set back since is cut, as in find_unleased.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local latest = now + tonumber(ARGV[2])
local offered = 0
for index = 3, #ARGV do
    local lease = redis.call('ZSCORE', KEYS[2], ARGV[index])
    if not lease or tonumber(lease) <= now then
        offered = offered + redis.call('ZADD', KEYS[1], 'NX', 0, ARGV[index])
    elseif tonumber(lease) > latest then
        redis.call('ZADD', KEYS[2], latest, ARGV[index])
    end
end
local tokens = math.min(offered, tonumber(ARGV[1]) - redis.call('LLEN', KEYS[3]))
for _ = 1, tokens do
    redis.call('RPUSH', KEYS[3], '1')
end
return offered
