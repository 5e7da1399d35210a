-- Takes ended sessions out of the directory; only entries that are equal go, so a late disconnect harms no newer session.
-- KEYS: routes
-- ARGV: gateway, then device, session for each
-- Result: how many were taken out. Complexity: O(sessions).
local withdrawn = 0
for index = 2, #ARGV, 2 do
    local held = redis.call('HGET', KEYS[1], ARGV[index])
    if held then
        local session, owner = string.match(held, '^(%d+)|%d+|(.*)$')
        if session == ARGV[index + 1] and owner == ARGV[1] then
            withdrawn = withdrawn + redis.call('HDEL', KEYS[1], ARGV[index])
        end
    end
end
return withdrawn
