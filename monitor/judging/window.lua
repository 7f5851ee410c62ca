#!lua name=linewatch_window_2

-- The rolling window of every camera's scores, for a whole batch in one call.
--
-- Each camera has two sorted sets with the same members (one a frame): `score` ordered by anomaly score, `time` by
-- capture time in milliseconds; and a hash `state` with the number of frames refused in a row.
-- KEYS: score, time, state of the first camera, then of the second, ...
-- ARGV: max_frames, max_age_ms, relearn_after, ttl_ms, then six values a frame in the order of the batch:
--       camera index (from 1), member, score, time_ms, limit (the absolute score up to which a frame is normal), and
--       1 for a frame that must leave no trace, since its camera is in trouble, otherwise 0.
-- Returns four texts a frame: count, low, high of the window as it was before the frame, and what became of the
-- frame: entered, refused (anomalous), relearnt (anomalous for so long that it is the new normal), repeated (it was
-- in the window already), late (older than the window) or kept_out. Texts, since Redis cuts Lua's numbers to integers.

local CHUNK = 1000  -- unpack() has a limit of some thousands

local function forget(score_key, time_key, members)
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    redis.call('ZREM', score_key, unpack(members, first, last))
    redis.call('ZREM', time_key, unpack(members, first, last))
  end
end

local function edge(key, rank)
  local found = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
  return found[2]
end

local function judge(keys, args)
  local max_frames, max_age_ms = tonumber(args[1]), tonumber(args[2])
  local relearn_after, ttl_ms = tonumber(args[3]), args[4]
  local answer = {}
  local touched = {}
  for i = 5, #args, 6 do
    local camera = tonumber(args[i])
    local member, score, time_ms, limit = args[i + 1], args[i + 2], args[i + 3], tonumber(args[i + 4])
    local score_key, time_key, state_key = keys[camera * 3 - 2], keys[camera * 3 - 1], keys[camera * 3]
    local keep_out = args[i + 5] == '1'
    touched[camera] = true

    local newest_ms = math.max(tonumber(edge(time_key, -1) or '0'), keep_out and 0 or tonumber(time_ms))
    local oldest_ms = newest_ms - max_age_ms
    forget(score_key, time_key, redis.call('ZRANGEBYSCORE', time_key, '-inf', string.format('(%.0f', oldest_ms)))

    local count = redis.call('ZCARD', score_key)
    local low, high = edge(score_key, 0) or '', edge(score_key, -1) or ''
    local fate = 'entered'
    if keep_out then
      fate = 'kept_out'
    elseif redis.call('ZSCORE', time_key, member) then
      fate = 'repeated'
    elseif tonumber(time_ms) < oldest_ms then
      fate = 'late'
    elseif tonumber(score) > limit and (high == '' or tonumber(score) > tonumber(high)) then
      fate = 'refused'
      if redis.call('HINCRBY', state_key, 'refused', 1) >= relearn_after then
        fate = 'relearnt'
      end
    else
      redis.call('HSET', state_key, 'refused', 0)
    end
    if fate == 'entered' or fate == 'relearnt' then
      redis.call('ZADD', score_key, score, member)
      redis.call('ZADD', time_key, time_ms, member)
      local surplus = redis.call('ZCARD', time_key) - max_frames
      if surplus > 0 then
        forget(score_key, time_key, redis.call('ZRANGE', time_key, 0, surplus - 1))
      end
    end
    for _, value in ipairs({tostring(count), low, high, fate}) do
      answer[#answer + 1] = value
    end
  end
  for camera, _ in pairs(touched) do
    for key = camera * 3 - 2, camera * 3 do
      redis.call('PEXPIRE', keys[key], ttl_ms)
    end
  end
  return answer
end

redis.register_function('linewatch_window_2', judge)
