-- Enters sessions of one gateway into the directory. The higher session number wins; a session that lost on another
-- gateway is ordered to close.
-- KEYS: routes (hash, device to <session>|<flags>|<gateway>), inbox prefix (any key with the prefix of the inboxes)
-- ARGV: gateway, life of an inbox in ms, then device, session, flags for each
-- Result: array of the devices whose session is older than what stands there. Complexity: O(sessions).
local beaten = {}
for index = 3, #ARGV, 3 do
    local device, session = ARGV[index], tonumber(ARGV[index + 1])
    local held = redis.call('HGET', KEYS[1], device)
    local number, text, owner = -1, nil, nil
    if held then
        text, owner = string.match(held, '^(%d+)|%d+|(.*)$')
        number = tonumber(text) or -1
    end
    if number > session then
        beaten[#beaten + 1] = device
    else
        redis.call('HSET', KEYS[1], device, ARGV[index + 1] .. '|' .. ARGV[index + 2] .. '|' .. ARGV[1])
        if owner and owner ~= ARGV[1] then
            local inbox = KEYS[2] .. owner
            redis.call('RPUSH', inbox, 'x1 ' .. #device .. ':' .. device .. text .. ' ')
            redis.call('PEXPIRE', inbox, ARGV[2])
        end
    end
end
return beaten
