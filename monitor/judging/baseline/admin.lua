#!lua name=linewatch_baseline_3

-- What people and the calibrator do with one baseline, each in one step, so that workers may go on meanwhile.
-- KEYS: the index of the baselines, then score, time, outscore, outtime, state, tail of the baseline (window.lua).
-- ARGV: what to do, then what that needs. A state of another version is as good as none.

local VERSION = '3'
local CHUNK = 1000  -- unpack() has a limit of some thousands
local KEEP_MS = 30 * 86400000

local function named(keys)
  return {
    index = keys[1], score = keys[2], time = keys[3], outscore = keys[4], outtime = keys[5], state = keys[6],
    tail = keys[7],
  }
end

local function is_here(call, b)
  return call('HGET', b.state, 'v') == VERSION
end

local function keep_ms(call, b)
  local rules = call('HGET', b.state, 'rules')
  return rules and tonumber(string.match(rules, '%S+$')) or KEEP_MS
end

local function settle(call, b)
  local life_ms = keep_ms(call, b)
  for _, key in ipairs({b.score, b.time, b.outscore, b.outtime, b.state, b.tail}) do
    call('PEXPIRE', key, life_ms)
  end
  call('HSET', b.index, string.sub(b.state, #b.index + 1, -7), call('HGET', b.state, 'newest_ms') or '0')
  call('PEXPIRE', b.index, life_ms)
end

-- Emptied; the epoch rises, so that nobody goes on with what he knows of it. The rules are the workers', and stay.
local function empty(call, b)
  local epoch = (tonumber(call('HGET', b.state, 'epoch') or '0') or 0) + 1
  local rules = call('HGET', b.state, 'rules')
  call('UNLINK', b.score, b.time, b.outscore, b.outtime, b.state, b.tail)
  call('HSET', b.state, 'v', VERSION, 'epoch', epoch)
  if rules then
    call('HSET', b.state, 'rules', rules)
  end
end

local function remove(call, key, members)
  for first = 1, #members, CHUNK do
    call('ZREM', key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
  end
end

-- Frames since a time: their identities, times and scores.
local function frames(call, by_time, by_score, since)
  local found = call('ZRANGEBYSCORE', by_time, since, '+inf', 'WITHSCORES')
  local members, times, scores = {}, {}, {}
  for i = 1, #found, 2 do
    members[#members + 1], times[#times + 1] = found[i], found[i + 1]
  end
  for first = 1, #members, CHUNK do
    local part = call('ZMSCORE', by_score, unpack(members, first, math.min(first + CHUNK - 1, #members)))
    for _, score in ipairs(part) do
      scores[#scores + 1] = score or '0'
    end
  end
  return members, times, scores
end

local function tail_of(call, b)
  local kept = call('GET', b.tail)
  local epoch, doc = string.match(kept or '', '^(%d+) (.*)$')
  return epoch == call('HGET', b.state, 'epoch') and doc or false
end

local doing = {}

function doing.read(call, b)
  return {call('HGETALL', b.state), is_here(call, b) and call('ZCARD', b.time) or 0}
end

function doing.reset(call, b)
  empty(call, b)
  settle(call, b)
end

function doing.freeze(call, b)
  if not is_here(call, b) then
    local nothing = call('EXISTS', b.state) == 0
    empty(call, b)
    if nothing then
      call('HSET', b.state, 'epoch', 0)  -- where there was nothing, there is nothing to be noticed
    end
  end
  call('HSET', b.state, 'frozen', '1')
  settle(call, b)
end

function doing.thaw(call, b)
  if is_here(call, b) then
    call('HDEL', b.state, 'frozen')
  end
end

function doing.series(call, b, args)
  if not is_here(call, b) then
    return {{}, {}, {}, {}}
  end
  local _, times, scores = frames(call, b.time, b.score, args[2])
  local _, out_times, out_scores = frames(call, b.outtime, b.outscore, args[2])
  return {times, scores, out_times, out_scores}
end

function doing.export(call, b)
  if not is_here(call, b) then
    return false
  end
  local answer = {call('HGETALL', b.state), tail_of(call, b) or ''}
  for _, sets in ipairs({{b.time, b.score}, {b.outtime, b.outscore}}) do
    local members, times, scores = frames(call, sets[1], sets[2], '-inf')
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = members, times, scores
  end
  return answer
end

-- KEYS go on with four sorted sets that hold what is to be there, each left out (an empty text in ARGV) where it is
-- empty; ARGV: which of them there are, the tail or an empty text, then fields of the state and their values.
function doing.load(call, b, args, keys)
  local rules = call('HGET', b.state, 'rules')
  empty(call, b)
  for i, key in ipairs({b.score, b.time, b.outscore, b.outtime}) do
    if args[1 + i] ~= '' then
      call('RENAME', keys[7 + i], key)
    end
  end
  call('HSET', b.state, unpack(args, 7))
  if rules then
    call('HSET', b.state, 'rules', rules)
  end
  if args[6] ~= '' then
    call('SET', b.tail, call('HGET', b.state, 'epoch') .. ' ' .. args[6])
  end
  settle(call, b)
end

-- Frames captured between two times leave, the refused ones as well, and no longer count towards drift.
function doing.forget(call, b, args)
  if not is_here(call, b) then
    return 0
  end
  local members = call('ZRANGEBYSCORE', b.time, args[2], args[3])
  local out = call('ZRANGEBYSCORE', b.outtime, args[2], args[3])
  remove(call, b.time, members)
  remove(call, b.score, members)
  remove(call, b.outtime, out)
  remove(call, b.outscore, out)
  call('HDEL', b.state, 'edges')
  if #out > 0 then
    call('HSET', b.state, 'refused', math.max(0, tonumber(call('HGET', b.state, 'refused') or '0') - #out))
  end
  return #members + #out
end

function doing.tail(call, b)
  return is_here(call, b) and tail_of(call, b)
end

function doing.save_tail(call, b, args)
  if not is_here(call, b) or call('HGET', b.state, 'epoch') ~= args[2] then
    return 0
  end
  call('SET', b.tail, args[2] .. ' ' .. args[3], 'PX', keep_ms(call, b))
  return 1
end

redis.register_function('linewatch_baseline_3', function(keys, args)
  return doing[args[1]](redis.call, named(keys), args, keys)
end)
