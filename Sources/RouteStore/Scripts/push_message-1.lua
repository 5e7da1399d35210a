-- Puts a message into an inbox.
-- KEYS: inbox (list)
-- ARGV: messages that may wait, life of the inbox in ms, message
-- Result: 1, or 0 when the inbox is full. Complexity: O(1).
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
