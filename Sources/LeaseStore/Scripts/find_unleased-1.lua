-- Which of the given batches have no live lease.
-- KEYS: leases
-- ARGV: members
-- Result: array of members. Complexity: O(members).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local unleased = {}
for index = 1, #ARGV do
    local lease = redis.call('ZSCORE', KEYS[1], ARGV[index])
    if not lease or tonumber(lease) <= now then
        unleased[#unleased + 1] = ARGV[index]
    end
end
return unleased
