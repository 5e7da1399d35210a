-- Puts messages into an inbox, all or none.
-- KEYS: inbox (list)
-- ARGV: messages that may wait, life of the inbox in ms, messages
-- Result: 1, or 0 when they find no room. Complexity: O(1) a message.
if redis.call('LLEN', KEYS[1]) + #ARGV - 2 > tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
