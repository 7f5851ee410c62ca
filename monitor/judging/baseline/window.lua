#!lua name=linewatch_window_4

-- The rolling windows of all baselines of a batch, in one call. What happens is told in port.py; memory_window.py is
-- the same in Python, and the tests hold the two against each other.
--
-- A baseline has four sorted sets and a hash. `score` and `time` have the same members, one a frame, ordered by score
-- and by capture time; `outscore` and `outtime` likewise hold the refused frames. `state` is told in life.py. Its
-- `tail` belongs to others and only has its life prolonged here.
-- KEYS: the index of the baselines, then score, time, outscore, outtime, state, tail of the first one, the second ...
-- ARGV: max_frames, max_age_ms, warm_up_frames, relearn_after, drifting_from, mode, keep_ms; the caller's time in ms;
--       the number of kinds; three values a kind of frame: its baseline (from 1), its rule (criterion, value, low,
--       high, parted by blanks), and 1 for frames that must leave no trace, otherwise 0;
--       then four values a frame in the order of the batch: its kind (from 1), identity, score, time_ms.
-- Returns a text a frame, its values parted by blanks: count, least, greatest, q_low, q_high (- in an empty window),
-- low, high, limit, phase, epoch, frozen (0 or 1), at_least, anomalous (0 or 1), fate, refused. Texts, since Redis
-- cuts Lua's numbers to integers.
--
-- What costs is walking the sorted sets, so what was found of them is kept while it holds: the edges of a window in its
-- state, from one call to the next. And what follows from a text alone is not worked out twice (`remembered`).

local VERSION = '3'
local RULES, PER_KIND, PER_FRAME, PER_BASELINE = 7, 3, 4, 6
local AHEAD_MS = 60000  -- as in port.py
local CHUNK = 1000  -- unpack() has a limit of some thousands
local LOW_SHARE, HIGH_SHARE = 0.01, 0.99
local INDEX_EVERY_MS = 60000
local REMEMBERED = 2048

-- Texts that came before and what they say: rules, and edges with what follows from them for a rule. It outlives the
-- call, and holds nothing that is not in the text, so that losing it costs time only.
local remembered = {many = 0, rules = {}, edges = {}}

local function remember(kind, text, value)
  if remembered.many >= REMEMBERED then
    remembered = {many = 0, rules = {}, edges = {}}
  end
  remembered[kind][text] = value
  remembered.many = remembered.many + 1
  return value
end

local function exact(number)
  return string.format('%.17g', number)
end

local function number_or(text, other)
  return text and tonumber(text) or other
end

local function forget(call, key, members)
  for first = 1, #members, CHUNK do
    call('ZREM', key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
  end
end

-- Members of `by_time` between two times leave both sets. How many.
local function forget_between(call, by_time, by_score, from, to)
  local members = call('ZRANGEBYSCORE', by_time, from, to)
  forget(call, by_score, members)
  forget(call, by_time, members)
  return #members
end

-- Members older than `oldest_ms` leave. How many, and the time of the oldest that is left.
local function forget_older(call, by_time, by_score, oldest_ms)
  local gone = forget_between(call, by_time, by_score, '-inf', '(' .. exact(oldest_ms))
  return gone, number_or(call('ZRANGE', by_time, 0, 0, 'WITHSCORES')[2], math.huge)
end

-- As numpy does it: linear between the neighbours, from the nearer one. The quantile and the two neighbours.
local function quantile(call, by_score, count, share)
  local position = (count - 1) * share
  local rank = math.floor(position)
  local part = position - rank
  local found = call('ZRANGE', by_score, rank, rank + 1, 'WITHSCORES')
  local a = tonumber(found[2])
  local b = number_or(found[4], a)
  if part >= 0.5 then
    return b - (b - a) * (1 - part), a, b
  end
  return a + (b - a) * part, a, b
end

-- A kept range as `edges_of` tells one.
local function with_texts(kept)
  return {least = exact(kept.least), greatest = exact(kept.greatest), q_low = exact(kept.q_low),
    q_high = exact(kept.q_high)}
end

-- The edges as `write_edges` told them.
local function read_edges(text)
  local count, oldest, low_next, high_before, told, least, greatest, q_low, q_high =
    string.match(text, '^(%S+) (%S+) (%S+) (%S+) ((%S+) (%S+) (%S+) (%S+))$')
  return remember('edges', text, {
    count = tonumber(count), oldest = number_or(oldest, -math.huge), low_next = tonumber(low_next),
    high_before = tonumber(high_before), told = told, least = least, greatest = greatest, q_low = q_low,
    q_high = q_high, held = {},
  })
end

local function write_edges(b)
  local e = b.edges
  return string.format('%d %.17g %.17g %.17g %s', b.count, b.oldest, e.low_next, e.high_before, e.told)
end

-- What is known of a baseline when a call comes upon it, put into `b`: baselines have their turn one after the other,
-- and filling a table costs less than making one. `oldest`, `out_oldest`: no frame is older.
local function open(call, b, keys, base, rules)
  local score, time, state = keys[base], keys[base + 1], keys[base + 4]
  local got = call('HMGET', state, 'v', 'epoch', 'entered', 'newest_ms', 'touched_ms', 'edges', 'rules', 'refused',
    'frozen', 'relearnt_ms')
  local count, out = call('ZCARD', time), call('ZCARD', keys[base + 3])
  local epoch, fresh = number_or(got[2], 0), false
  if got[1] ~= VERSION or call('ZCARD', score) ~= count or (out > 0 and call('ZCARD', keys[base + 2]) ~= out) then
    -- New, of another version, or half of it lost: begun afresh, and nothing is read as what it is not.
    if got[1] or count > 0 or out > 0 then
      epoch = epoch + 1
    end
    fresh, count, out, got = true, 0, 0, {}
  end
  b.score, b.time, b.outscore, b.outtime, b.state, b.tail = score, time, keys[base + 2], keys[base + 3], state,
    keys[base + 5]
  b.count, b.out, b.epoch, b.fresh = count, out, epoch, fresh
  b.entered, b.refused, b.frozen = number_or(got[3], 0), number_or(got[8], 0), got[9] == '1'
  b.newest, b.newest_text = number_or(got[4], -math.huge), got[4]
  b.began_newest, b.touched_ms, b.relearnt_ms = b.newest, number_or(got[5], 0), number_or(got[10], -math.huge)
  b.rules, b.had_edges = got[7], got[6]
  b.oldest, b.out_oldest, b.version, b.changed, b.created = -math.huge, -math.huge, 0, false, false
  b.edges, b.edges_changed, b.kept = nil, false, nil
  if got[6] then
    local edges = remembered.edges[got[6]] or read_edges(got[6])
    if edges.count == count then
      b.oldest, b.edges = edges.oldest, edges
    end
  end
  if count < rules.warm_up and not fresh then
    local kept = call('HGET', state, 'kept')
    b.kept = kept and with_texts(cjson.decode(kept)) or nil
  end
end

-- The edges of a window that is not empty, as texts. low_next, high_before: the window's edges stay what they are where
-- what enters and what leaves lies between these two.
local function edges_of(call, b)
  local edges = b.edges
  if not edges then
    local q_low, _, low_next = quantile(call, b.score, b.count, LOW_SHARE)
    local q_high, high_before = quantile(call, b.score, b.count, HIGH_SHARE)
    edges = {
      count = b.count, held = {}, low_next = low_next, high_before = high_before,
      q_low = exact(q_low), q_high = exact(q_high),
      least = call('ZRANGE', b.score, 0, 0, 'WITHSCORES')[2],
      greatest = call('ZREVRANGE', b.score, 0, 0, 'WITHSCORES')[2],
    }
    edges.told = edges.least .. ' ' .. edges.greatest .. ' ' .. edges.q_low .. ' ' .. edges.q_high
    b.edges, b.edges_changed = edges, true
  end
  return edges
end

local function changed(b)
  b.edges, b.version = nil, b.version + 1
end

local function keep(call, b, at_ms)
  local edges = edges_of(call, b)
  -- Written by hand: cjson writes fourteen digits.
  local kept = string.format('{"count":%d,"least":%s,"greatest":%s,"q_low":%s,"q_high":%s,"at_ms":%s}', b.count,
    edges.least, edges.greatest, edges.q_low, edges.q_high, exact(at_ms))
  b.fields.kept = kept
  b.kept, b.version = edges, b.version + 1
end

-- Begins the writing of a baseline: what a fresh one finds under its keys is not its own.
local function own(call, b)
  if b.fresh then
    call('UNLINK', b.score, b.time, b.outscore, b.outtime, b.state, b.tail)
    b.fresh, b.created = false, true
  end
  b.changed = true
end

-- What is older than `oldest_ms` leaves.
local function grow_old(call, b, oldest_ms, ready_ms, rules)
  if b.count > 0 and b.oldest < oldest_ms then
    if b.count >= rules.warm_up and call('ZCOUNT', b.time, exact(oldest_ms), '+inf') < rules.warm_up then
      keep(call, b, ready_ms)
    end
    local gone
    gone, b.oldest = forget_older(call, b.time, b.score, oldest_ms)
    if gone > 0 then
      b.count = b.count - gone
      changed(b)
      own(call, b)
    end
  end
  if b.out > 0 and b.out_oldest < oldest_ms then
    local gone
    gone, b.out_oldest = forget_older(call, b.outtime, b.outscore, oldest_ms)
    b.out = b.out - gone
  end
end

-- Where frames were captured by a clock that ran ahead, those after `horizon_ms` leave. Otherwise all others would be
-- late until the right clock has come that far.
local function set_back(call, b, horizon_ms, clock_ms, time_ms, rules)
  local ahead = '(' .. exact(horizon_ms)
  own(call, b)
  if b.count >= rules.warm_up and b.count - call('ZCOUNT', b.time, ahead, '+inf') < rules.warm_up then
    keep(call, b, time_ms)  -- only their times were wrong
  end
  b.count = b.count - forget_between(call, b.time, b.score, ahead, '+inf')
  local gone = forget_between(call, b.outtime, b.outscore, ahead, '+inf')
  b.out = b.out - gone
  b.refused = math.max(0, b.refused - gone)
  b.fields.refused = b.refused
  b.newest, b.newest_text = -math.huge, nil
  for _, by_time in ipairs({b.time, b.outtime}) do
    local last = tonumber(call('ZREVRANGE', by_time, 0, 0, 'WITHSCORES')[2])
    if last and last > b.newest then
      b.newest, b.newest_text = last, exact(last)
    end
  end
  if b.relearnt_ms > horizon_ms then
    b.relearnt_ms, b.fields.relearnt_ms = clock_ms, exact(clock_ms)
  end
  changed(b)
end

local function phase_of(b, rules)
  if b.count >= rules.warm_up then
    return b.refused >= rules.drifting_from and 'drifting' or 'ready'
  elseif b.kept then
    return 'stale'
  end
  return b.count > 0 and 'warming' or 'cold'
end

local function read_rule(text)
  local criterion, value, low, high = string.match(text, '^(%S+) (%S+) (%S+) (%S+)$')
  return remember('rules', text, {criterion = criterion, value = value, low = low, high = high})
end

-- What frames under a rule are held against: numbers, and the text that tells of them, from the range that serves (none
-- means the rule's own). top: how far a window's scores may reach, told by its quantiles, since what lies above never
-- enters: told by the greatest, it could only fall.
local function held_against(rule, range, mode)
  local low, high, limit = rule.low, rule.high, rule.value
  local held = {share = nil, top = nil}
  if range then
    local q_low, q_high = tonumber(range.q_low), tonumber(range.q_high)
    held.top = q_high + (q_high - q_low)
    low, high = range.least, range.greatest
    if mode == 'quantile' then
      low, high = range.q_low, exact(held.top)
    end
  end
  if rule.criterion == 'share' then
    held.low, held.high, held.share = tonumber(low), tonumber(high), tonumber(limit)
    limit = exact(held.low + held.share * (held.high - held.low))
  elseif rule.criterion == 'rising' and range and held.top > tonumber(limit) then
    limit = exact(held.top)
  end
  held.limit, held.told = tonumber(limit), low .. ' ' .. high .. ' ' .. limit
  return held
end

-- Works out for a kind of frame what it is held against, and the part of the answer that says so.
local function prepare(call, b, kind, phase, rules)
  local edges = b.count > 0 and edges_of(call, b)
  local held
  if rules.mode == 'frozen' or phase == 'cold' or phase == 'warming' then
    held = held_against(kind.rule, nil)
  elseif phase == 'stale' then
    held = held_against(kind.rule, b.kept, rules.mode)
  else
    local named = rules.mode .. kind.rule_text
    held = edges.held[named]
    if not held then
      held = held_against(kind.rule, edges, rules.mode)
      edges.held[named] = held
    end
  end
  kind.held, kind.version, kind.phase = held, b.version, phase
  kind.told = b.count .. ' ' .. (edges and edges.told or '- - - -') .. ' ' .. held.told .. ' ' .. phase .. ' '
    .. b.epoch .. (b.frozen and ' 1 ' or ' 0 ')
end

local function is_anomalous(held, score)
  if not held.share then
    return score > held.limit
  elseif not (held.high > held.low) then
    return score > held.high
  end
  return math.min(1, math.max(0, (score - held.low) / (held.high - held.low))) >= held.share
end

-- Whether an anomalous frame stays out. By its share it is anomalous also within the spread of what is normal; kept
-- out, those would make the range narrower and narrower.
local function is_refused(held, score)
  return not (held.share and held.top) or score > held.top
end

local function known(call, b, member)
  return (b.count > 0 and call('ZSCORE', b.time, member)) or (b.out > 0 and call('ZSCORE', b.outtime, member))
end

-- The refused frames become the window.
local function relearn(call, b, rules)
  call('UNLINK', b.score, b.time)
  call('RENAME', b.outscore, b.score)
  call('RENAME', b.outtime, b.time)
  b.count, b.out, b.refused, b.kept = b.out, 0, 0, nil
  b.oldest, b.out_oldest = b.out_oldest, -math.huge
  b.epoch, b.relearnt_ms, b.entered = b.epoch + 1, b.newest, b.entered + b.count
  b.created = true
  changed(b)
  call('HDEL', b.state, 'kept', 'ready_ms')
  call('HINCRBY', b.state, 'relearnt', 1)
  local at = exact(b.newest)
  b.fields.kept, b.fields.ready_ms = nil, nil
  b.fields.epoch, b.fields.relearnt_ms, b.fields.began_ms = b.epoch, at, at
  if b.count >= rules.warm_up then
    b.fields.ready_ms = at
  else
    keep(call, b, b.newest)  -- too few to be ready, and the old range would be wrong: theirs serves
  end
end

-- The `surplus` oldest leave both sets. Their members and times, as ZPOPMIN tells them; and whether `member` is one.
local function forget_surplus(call, by_time, by_score, surplus, member)
  local popped = call('ZPOPMIN', by_time, surplus)
  local members, itself = {}, false
  for i = 1, #popped, 2 do
    members[#members + 1] = popped[i]
    itself = itself or popped[i] == member
  end
  forget(call, by_score, members)
  return itself, tonumber(popped[#popped])
end

local function refuse(call, b, rules, member, score_text, time_text, time_ms)
  if known(call, b, member) then
    return 'repeated'
  end
  if b.count >= rules.max_frames and time_ms < tonumber(call('ZRANGE', b.time, 0, 0, 'WITHSCORES')[2]) then
    return 'late'
  end
  own(call, b)
  call('ZADD', b.outtime, time_text, member)
  call('ZADD', b.outscore, score_text, member)
  b.created = b.created or b.out == 0
  b.out = b.out + 1
  b.out_oldest = math.min(b.out_oldest, time_ms)
  if b.out > rules.max_frames then
    local itself
    itself, b.out_oldest = forget_surplus(call, b.outtime, b.outscore, b.out - rules.max_frames, member)
    b.out = rules.max_frames
    if itself then
      return 'late'
    end
  end
  if rules.mode == 'frozen' then
    if b.refused > 0 then
      b.refused, b.fields.refused = 0, 0
    end
    return 'refused'  -- no new normal would change what frames are held against
  end
  b.refused = b.refused + 1
  b.fields.refused = b.refused
  if b.refused >= rules.relearn_after then
    relearn(call, b, rules)
    b.fields.refused = 0
    return 'relearnt'
  end
  return 'refused'
end

local function enter(call, b, rules, member, score, score_text, time_text, time_ms)
  if b.out > 0 and call('ZSCORE', b.outtime, member) then
    return 'repeated'
  end
  own(call, b)
  if call('ZADD', b.time, 'NX', time_text, member) == 0 then
    return 'repeated'
  end
  call('ZADD', b.score, score_text, member)
  local before, edges = b.count, b.edges
  b.oldest = math.min(b.oldest, time_ms)
  if before == rules.max_frames and edges then
    -- The everyday case: one in, one out, and mostly in the middle.
    local popped = call('ZPOPMIN', b.time)
    local gone = popped[1]
    local gone_score = tonumber(call('ZSCORE', b.score, gone))
    call('ZREM', b.score, gone)
    b.oldest = tonumber(popped[2])
    if gone == member then
      return 'late'
    end
    if score <= edges.low_next or score >= edges.high_before
      or gone_score <= edges.low_next or gone_score >= edges.high_before then
      changed(b)
    end
  else
    b.count = before + 1
    changed(b)
    if b.count > rules.max_frames then
      local itself
      itself, b.oldest = forget_surplus(call, b.time, b.score, b.count - rules.max_frames, member)
      b.count = rules.max_frames
      if itself then
        return 'late'
      end
    end
  end
  if b.refused > 0 then
    b.refused = b.refused - 1
    b.fields.refused = b.refused
  end
  b.entered = b.entered + 1
  if b.entered == 1 then
    b.fields.began_ms = time_text
  end
  b.created = b.created or before == 0
  if before < rules.warm_up and b.count >= rules.warm_up then
    b.fields.ready_ms = time_text
  end
  return 'entered'
end

-- Writes the state once, and prolongs the life of all keys when a part of it is over.
local function close(call, b, index, rules, now_ms)
  local due = b.created or b.rules ~= rules.text or now_ms < b.touched_ms
    or now_ms - b.touched_ms > rules.keep_ms / 128
  if b.fresh or not (b.changed or due or b.newest ~= b.began_newest) then
    return
  end
  local fields = b.fields
  if due then
    fields.v, fields.epoch, fields.touched_ms = VERSION, b.epoch, exact(now_ms)
  end
  if b.rules ~= rules.text then
    fields.rules = rules.text
  end
  if b.edges and b.edges_changed then
    fields.edges = write_edges(b)
  elseif b.had_edges and not b.edges then
    call('HDEL', b.state, 'edges')
  end
  if b.newest_text then
    call('HSET', b.state, 'entered', b.entered, 'newest_ms', b.newest_text)
  end
  if next(fields) then
    local told = {}
    for field, value in pairs(fields) do
      told[#told + 1] = field
      told[#told + 1] = value
      fields[field] = nil
    end
    call('HSET', b.state, unpack(told))
  end
  if due or math.floor(b.newest / INDEX_EVERY_MS) ~= math.floor(b.began_newest / INDEX_EVERY_MS) then
    -- `...:baselines` and `...:baseline:` are of the same length; what follows, up to `:state`, names the baseline.
    call('HSET', index, string.sub(b.state, #index + 1, -7), exact(math.max(b.newest, 0)))
    call('PEXPIRE', index, rules.keep_ms)
  end
  if due then
    for _, key in ipairs({b.score, b.time, b.outscore, b.outtime, b.state, b.tail}) do
      call('PEXPIRE', key, rules.keep_ms)
    end
  end
end

-- One frame, whatever it is. The answer.
local function judge_one(call, b, kind, member, score_text, time_text, rules, clock_ms)
  local score, time_ms = tonumber(score_text), tonumber(time_text)
  local late = false
  if not (kind.keep_out or b.frozen) then
    local horizon_ms = math.max(clock_ms, time_ms) + AHEAD_MS
    if b.newest > horizon_ms then
      set_back(call, b, horizon_ms, clock_ms, time_ms, rules)
    end
    local ready_ms = b.newest
    if time_ms > ready_ms then
      b.newest, b.newest_text = time_ms, time_text
    end
    local oldest_ms = b.newest - rules.max_age_ms
    late = time_ms < oldest_ms
    if b.oldest < oldest_ms or (b.out > 0 and b.out_oldest < oldest_ms) then
      grow_old(call, b, oldest_ms, ready_ms, rules)
    end
  end
  local phase = phase_of(b, rules)
  if kind.version ~= b.version or kind.phase ~= phase then
    prepare(call, b, kind, phase, rules)
  end
  local told, refused = kind.told, b.refused
  local anomalous = is_anomalous(kind.held, score)
  local at_least = b.count > 0 and call('ZCOUNT', b.score, score_text, '+inf') or 0
  local fate
  if kind.keep_out then
    fate = 'kept_out'
  elseif b.frozen then
    fate = 'frozen'
  elseif late then
    fate = 'late'
  elseif time_ms < b.relearnt_ms then
    fate = known(call, b, member) and 'repeated' or 'late'  -- what came before the new normal is no part of it
  elseif anomalous and is_refused(kind.held, score) then
    fate = refuse(call, b, rules, member, score_text, time_text, time_ms)
  else
    fate = enter(call, b, rules, member, score, score_text, time_text, time_ms)
  end
  return told .. at_least .. (anomalous and ' 1 ' or ' 0 ') .. fate .. ' ' .. refused
end

local function any(found)
  for _, value in ipairs(found) do
    if value then
      return true
    end
  end
  return false
end

-- Frames of one baseline, from the place `from` in `frames` on, that are as most are: several new and normal ones, for
-- a full window that is ready. Those that are, up to the first that is not or that moves the window's edges, are judged
-- as judge_one would, with a few calls for all of them. How many they were. `spare`: tables to write into, which cost
-- more to make than to fill. Some frames stay in the sets at each moment, since an emptied one would lose its expiry.
local function judge_some(call, b, frames, from, args, kinds, rules, answer, first, spare, clock_ms)
  local many = #frames - from + 1
  if many < 2 or many > CHUNK or many >= b.count or b.frozen or b.refused > 0 or b.entered == 0
    or b.count ~= rules.max_frames or b.count < rules.warm_up then
    return 0
  end
  local members = spare.members
  for n = 1, many do
    members[n] = args[frames[from + n - 1] + 1]
  end
  if any(call('ZMSCORE', b.time, unpack(members, 1, many))) then
    return 0
  end
  if b.out > 0 then
    if any(call('ZMSCORE', b.outtime, unpack(members, 1, many))) then
      return 0
    end
    b.out_oldest = tonumber(call('ZRANGE', b.outtime, 0, 0, 'WITHSCORES')[2])
  end
  local oldest = call('ZPOPMIN', b.time, many)
  local leaving = spare.leaving
  for n = 1, many do
    leaving[n] = oldest[2 * n - 1]
  end
  local leaving_scores = call('ZMSCORE', b.score, unpack(leaving, 1, many))

  local done, newest, newest_text, earliest, horizon = 0, b.newest, b.newest_text, math.huge, b.relearnt_ms
  local edges, max_age_ms, at_edge = edges_of(call, b), rules.max_age_ms, false
  local clock_horizon_ms = clock_ms + AHEAD_MS
  local low_next, high_before = edges.low_next, edges.high_before
  local out_oldest = b.out > 0 and b.out_oldest or math.huge
  spare.turn = spare.turn + 1
  local turn = spare.turn
  local scores, gone, here, by_time, by_score = spare.scores, spare.gone, spare.here, spare.by_time, spare.by_score
  for n = 1, many do
    local i = frames[from + n - 1]
    local kind, member, score_text, time_text = kinds[tonumber(args[i])], members[n], args[i + 2], args[i + 3]
    local score, time_ms = tonumber(score_text), tonumber(time_text)
    local leaving_ms, leaving_score = tonumber(oldest[2 * n]), tonumber(leaving_scores[n])
    if time_ms > newest then
      newest, newest_text = time_ms, time_text
    end
    if time_ms < earliest then
      earliest = time_ms
    end
    if kind.keep_out or here[member] == turn or earliest <= leaving_ms or time_ms < horizon
      or leaving_ms < newest - max_age_ms or out_oldest < newest - max_age_ms
      or (newest > clock_horizon_ms and newest > time_ms + AHEAD_MS) then
      break
    end
    if kind.version ~= b.version or kind.phase ~= 'ready' then
      prepare(call, b, kind, 'ready', rules)
    end
    if is_anomalous(kind.held, score) then
      break
    end
    local at_least = call('ZCOUNT', b.score, score_text, '+inf')
    for before = 1, done do
      if scores[before] >= score then
        at_least = at_least + 1
      end
      if gone[before] >= score then
        at_least = at_least - 1
      end
    end
    answer[(i - first) / PER_FRAME + 1] = kind.told .. at_least .. ' 0 entered 0'
    done, here[member], scores[n], gone[n] = n, turn, score, leaving_score
    by_time[2 * n - 1], by_time[2 * n], by_score[2 * n - 1], by_score[2 * n] = time_text, member, score_text, member
    b.newest, b.newest_text, b.oldest = newest, newest_text, leaving_ms
    if score <= low_next or score >= high_before or leaving_score <= low_next or leaving_score >= high_before then
      at_edge = true
      break
    end
  end
  if done > 0 then
    b.changed, b.entered = true, b.entered + done
    call('ZREM', b.score, unpack(leaving, 1, done))
    call('ZADD', b.score, unpack(by_score, 1, 2 * done))
  end
  for n = done + 1, many do  -- back to where they were
    by_time[2 * n - 1], by_time[2 * n] = oldest[2 * n], leaving[n]
  end
  call('ZADD', b.time, unpack(by_time, 1, 2 * many))
  if at_edge then
    changed(b)
  end
  return done
end

local function judge(keys, args)
  local call = redis.call
  local rules = {
    max_frames = tonumber(args[1]), max_age_ms = tonumber(args[2]), warm_up = tonumber(args[3]),
    relearn_after = tonumber(args[4]), drifting_from = tonumber(args[5]), mode = args[6], keep_ms = tonumber(args[7]),
    text = table.concat(args, ' ', 1, RULES),
  }
  local baselines, kinds, answer = {}, {}, {}
  local b = {fields = {}}
  local spare = {turn = 0, members = {}, leaving = {}, scores = {}, gone = {}, here = {}, by_time = {}, by_score = {}}
  local first = RULES + 3 + PER_KIND * tonumber(args[RULES + 2])
  for i = RULES + 3, first - 1, PER_KIND do
    local baseline = tonumber(args[i])
    baselines[baseline] = baselines[baseline] or {}
    kinds[#kinds + 1] = {
      frames = baselines[baseline], rule_text = args[i + 1],
      rule = remembered.rules[args[i + 1]] or read_rule(args[i + 1]),
      keep_out = args[i + 2] == '1', version = -1, phase = '', told = '', held = false,
    }
  end
  for i = first, #args, PER_FRAME do
    local frames = kinds[tonumber(args[i])].frames
    frames[#frames + 1] = i
    answer[#answer + 1] = ''
  end
  local now = call('TIME')
  local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  -- The later of the two clocks: a caller whose clock runs slow must not take out what others' have brought.
  local clock_ms = math.max(now_ms, tonumber(args[RULES + 1]))
  -- Baselines do not touch each other, so each has its frames judged on end.
  for number, frames in ipairs(baselines) do
    open(call, b, keys, 2 + PER_BASELINE * (number - 1), rules)
    local n, usual = 1, true
    while n <= #frames do
      local some = usual and judge_some(call, b, frames, n, args, kinds, rules, answer, first, spare, clock_ms)
        or 0
      if some == 0 then
        local i = frames[n]
        answer[(i - first) / PER_FRAME + 1] =
          judge_one(call, b, kinds[tonumber(args[i])], args[i + 1], args[i + 2], args[i + 3], rules, clock_ms)
        some, usual = 1, false
      end
      n = n + some
    end
    close(call, b, keys[1], rules, now_ms)
  end
  return answer
end

redis.register_function('linewatch_window_4', judge)
