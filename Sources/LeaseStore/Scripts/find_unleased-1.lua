-- Which of the given batches have no live lease.
-- KEYS: leases
-- ARGV: lease in ms, then members
-- Result: array of members. Complexity: O(members), and O(log leases) for each that is cut.
-- A lease that ends later than one that begins now is of a clock that was set back since: it is cut, or a dead worker's
-- batch would wait until the clock is where it was.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local latest = now + tonumber(ARGV[1])
local unleased = {}
for index = 2, #ARGV do
    local lease = redis.call('ZSCORE', KEYS[1], ARGV[index])
    if not lease or tonumber(lease) <= now then
        unleased[#unleased + 1] = ARGV[index]
    elseif tonumber(lease) > latest then
        redis.call('ZADD', KEYS[1], latest, ARGV[index])
    end
end
return unleased
