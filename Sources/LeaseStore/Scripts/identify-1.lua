-- Names this life of Redis' content: the first caller's name stands until the content is lost.
-- KEYS: incarnation
-- ARGV: a new random name
-- Result: the name in force. Complexity: O(1).
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
