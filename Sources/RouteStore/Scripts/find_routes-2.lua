-- Where devices can be reached, through gateways that live.
-- KEYS: routes, gateways
-- ARGV: devices
-- Result: array of the time in ms and, for each device, its entry or ''. Complexity: O(devices).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = { now }
local alive = {}
local held = redis.call('HMGET', KEYS[1], unpack(ARGV))
for index = 1, #ARGV do
    local entry = held[index]
    if entry then
        local owner = string.match(entry, '^%d+|%d+|(.*)$')
        if alive[owner] == nil then
            local life = redis.call('ZSCORE', KEYS[2], owner)
            alive[owner] = life and tonumber(life) > now or false
        end
        if not alive[owner] then entry = nil end
    end
    found[index + 1] = entry or ''
end
return found
