-- Takes batches for a worker and leases them, one job after the other in turn.
-- KEYS: ready, leases, holders (hash, member to worker), turn (string, the job served last), incarnation (string)
-- ARGV: worker, lease in ms, batches wanted, number of jobs to pass over, then the jobs (19 digits): first those to pass
-- over while another job has work, then those to leave alone
-- Result: array of incarnation (or '') and the members taken. Complexity: O(wanted × jobs passed over × log ready).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local passed, excluded = {}, {}
for index = 5, #ARGV do
    if index < 5 + tonumber(ARGV[4]) then
        passed[ARGV[index]] = true
    else
        excluded[ARGV[index]] = true
    end
end
-- The first ready member behind a job; ';' is the character after ':'.
local function first_behind(job)
    return redis.call('ZRANGEBYLEX', KEYS[1], '(' .. job .. ';', '+', 'LIMIT', 0, 1)[1]
end
local function choose(turn)
    local fallback = nil
    local job, wrapped = turn, false
    -- Each step looks at another job; a pass over all jobs to be passed over and one more finds any other there is.
    for _ = 1, #ARGV do
        local member = first_behind(job)
        if not member and not wrapped then
            wrapped = true
            member = redis.call('ZRANGEBYLEX', KEYS[1], '-', '+', 'LIMIT', 0, 1)[1]
        end
        if not member then break end
        job = string.sub(member, 1, 19)
        if not excluded[job] then
            if not passed[job] then return member end
            fallback = fallback or member
        end
    end
    return fallback
end
local taken = { redis.call('GET', KEYS[5]) or '' }
local turn = redis.call('GET', KEYS[4]) or '0000000000000000000'
for _ = 1, tonumber(ARGV[3]) do
    local member = choose(turn)
    if not member then break end
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), member)
    redis.call('HSET', KEYS[3], member, ARGV[1])
    turn = string.sub(member, 1, 19)
    taken[#taken + 1] = member
end
redis.call('SET', KEYS[4], turn)
return taken
