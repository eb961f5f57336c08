-- The hot counters of the leakage ledger. Each call is one atomic step; docs/spec/leakage-ledger-v1.md.
-- TOKEN and ORIGIN are filled in before the script is loaded: a server that was restarted or failed
-- over does not know the script of this token, and so cannot answer from what it may have lost.
local TOKEN, ORIGIN = '@TOKEN@', '@ORIGIN@'
local TOP = 'seal:' .. ORIGIN .. ':top'
local P = 'seal:' .. ORIGIN .. ':' .. TOKEN .. ':'
local call = redis.call
local HOUR_MS = 3600000

local function answer(...) return cmsgpack.pack({...}) end
local function num(x) return tonumber(x) or 0 end
local function name(kind, model, one) return P .. kind .. ':' .. #model .. ':' .. model .. one end
local function model_key(model) return P .. 'm:' .. model end

local op = ARGV[1]
local given_us, seen_us = tonumber(ARGV[2]), tonumber(ARGV[3])

-- Time: Redis's own clock, which never counts backwards here.
local function clock(stored_us)
  local now_us = given_us
  if now_us == 0 then
    local time = call('TIME')
    now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  if now_us < stored_us then now_us = stored_us end
  return now_us
end

local function ends_of(group)
  return call('HMGET', group, 'e1', 'e2', 'e3', 'e4', 'e5')
end

local function rung_of(ends, now_ms)
  for at = 5, 1, -1 do
    local until_ms = num(ends[at])
    if until_ms > now_ms then return at, until_ms end
  end
  return 0, 0
end

local function recount(model, group)
  local g, s, u = name('g', model, group), name('s', model, group), name('u', model, group)
  local members = call('SMEMBERS', s)
  if #members == 0 then
    call('DEL', g, u)
    call('SREM', P .. 'groups:' .. model, group)
    return
  end
  local spent, lost, anomaly, ends = 0, 0, 0, {0, 0, 0, 0, 0}
  call('DEL', u)
  for _, one in ipairs(members) do
    local a = name('a', model, one)
    local f = call('HMGET', a, 'spent', 'lost', 'anomaly', 'rung', 'until')
    spent, lost, anomaly = spent + num(f[1]), lost + num(f[2]), anomaly + num(f[3])
    local rung, until_ms = num(f[4]), num(f[5])
    if rung > 0 and until_ms > ends[rung] then ends[rung] = until_ms end
    call('BITOP', 'OR', u, u, name('c', model, one))
  end
  call('HSET', g, 'spent', spent, 'count', call('BITCOUNT', u) + lost, 'anomaly', anomaly,
    'size', #members, 'mv', call('INCR', P .. 'mv'),
    'e1', ends[1], 'e2', ends[2], 'e3', ends[3], 'e4', ends[4], 'e5', ends[5])
  call('SADD', P .. 'groups:' .. model, group)
end

local function known(model, principal) return #model .. ':' .. model .. principal end

-- Whether something that was here is gone: the top counts what there is, and is itself the epoch.
local function missing(model, principal)
  return call('HEXISTS', P .. 'known', known(model, principal)) == 1
    or call('HLEN', P .. 'known') ~= num(call('HGET', TOP, 'known'))
end

local function group_of(principal)
  return call('HGET', P .. 'placed', principal) or principal
end

-- An account that was not there, in its group.
local function join(model, principal)
  local group = group_of(principal)
  call('HSET', name('a', model, principal), 'group', group)
  call('SADD', name('s', model, group), principal)
  call('SADD', P .. 'models', model)
  call('SADD', P .. 'groups:' .. model, group)
  if call('HSET', P .. 'known', known(model, principal), 1) == 1 then
    call('HINCRBY', TOP, 'known', 1)
  end
  return group
end

local function balance(model, group, now_us)
  local f = call('HMGET', name('g', model, group), 'mv', 'spent', 'count', 'anomaly')
  local rung, until_ms = rung_of(ends_of(name('g', model, group)), math.floor(now_us / 1000))
  return group, num(f[1]), num(f[2]), num(call('HGET', model_key(model), 'spent')),
    num(f[3]), num(f[4]), rung, until_ms
end

local ops = {}

function ops.hello(now_us) return answer('ok', now_us) end

-- How many cells a group may have touched that spent so much; 0 is no cap. ``bounds.room``.
local function room(cells, pace, spent)
  if #pace == 0 then return cells end
  local before, most = 0, 0
  for at = 1, #pace, 2 do
    if spent < pace[at] then
      most = most + math.floor((pace[at + 1] - most) * (spent - before) / (pace[at] - before))
      break
    end
    before, most = pace[at], pace[at + 1]
  end
  most = math.max(1, most)
  return cells > 0 and math.min(most, cells) or most
end

-- model principal id ask mbits weight group_mbits model_mbits cells interval_us burst pace…
function ops.reserve(now_us)
  local model, principal, id, ask = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  local mbits, weight = tonumber(ARGV[8]), tonumber(ARGV[9])
  local cap, all_cap, cells = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
  local interval_us, burst = tonumber(ARGV[13]), tonumber(ARGV[14])
  local a, m = name('a', model, principal), model_key(model)
  local af = call('HMGET', a, 'group', 'spent', 'claimed', 'allowed', 'anomaly', 'margin')
  local group = af[1] or group_of(principal)
  local g = name('g', model, group)
  local gf = call('HMGET', g, 'e5', 'tat', 'count', 'spent', 'size')
  local mf = call('HMGET', m, 'spent', 'claimed', 'allowed')
  if af[1] and not (gf[5] and mf[1]) then return answer('lost') end
  if not af[1] and missing(model, principal) then return answer('lost') end
  if not mf[1] and call('SISMEMBER', P .. 'models', model) == 1 then return answer('lost') end
  local now_ms = math.floor(now_us / 1000)
  if num(gf[1]) > now_ms then return answer('blocked', group, num(gf[1])) end
  if weight > burst then return answer('heavy', group) end
  local tat_us = math.max(num(gf[2]), now_us) + weight * interval_us
  local early_us = tat_us - now_us - burst * interval_us
  if early_us > 0 then return answer('fast', group, early_us) end
  if cells > 0 and num(gf[3]) >= cells then return answer('covered', group, num(gf[3])) end
  local spent, all_spent = num(gf[4]), num(mf[1])
  if mbits > cap - spent then return answer('spent', group, cap - spent) end
  if mbits > all_cap - all_spent then return answer('model', group, all_cap - all_spent) end
  local own, claimed, all_claimed = num(af[2]), num(af[3]), num(mf[2])
  if not af[1] or own + mbits > claimed or all_spent + mbits > all_claimed then
    local c = call('GET', name('c', model, principal)) or ''
    return {answer('claim', own, claimed, all_spent, all_claimed, cap - spent,
      all_cap - all_spent, num(gf[5]), num(af[5]), num(af[6])), c}
  end
  call('HINCRBY', a, 'spent', mbits)
  call('HSET', g, 'tat', tat_us, 'spent', spent + mbits)
  call('HINCRBY', m, 'spent', mbits)
  if num(af[4]) ~= cap then call('HSET', a, 'allowed', cap) end
  if num(mf[3]) ~= all_cap then call('HSET', m, 'allowed', all_cap) end
  local pace = {}
  for at = 15, #ARGV do pace[#pace + 1] = tonumber(ARGV[at]) end
  call('SET', P .. 'r:' .. id, cmsgpack.pack({ask, cells, cap, all_cap, pace}), 'PX', HOUR_MS)
  return answer('ok', now_us, cap, all_cap, balance(model, group, now_us))
end

-- model principal id ask reserved mbits anomaly cell…
function ops.settle(now_us)
  local model, principal, id, ask = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  local reserved, mbits, anomaly = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
  local r = P .. 'r:' .. id
  local held = call('GET', r)
  if not held then return answer('unknown') end
  held = cmsgpack.unpack(held)
  if held[1] ~= ask then return answer('unknown') end
  if mbits > reserved then return answer('above') end
  local cap = held[2]
  local a, m = name('a', model, principal), model_key(model)
  local af = call('HMGET', a, 'group', 'fresh', 'margin', 'anomaly', 'claimed')
  if not af[1] then return answer('lost') end
  local group = af[1]
  local g = name('g', model, group)
  local back = reserved - mbits
  if #ARGV > 10 then
    local c, u, k = name('c', model, principal), name('u', model, group), name('k', model, principal)
    local mine, theirs, fresh = {}, 0, 0
    for at = 11, #ARGV do
      local cell = ARGV[at]
      if call('GETBIT', c, cell) == 0 then
        mine[#mine + 1] = cell
        if call('GETBIT', u, cell) == 0 then theirs = theirs + 1 end
        if call('GETBIT', k, cell) == 0 then fresh = fresh + 1 end
      end
    end
    local gf = call('HMGET', g, 'count', 'spent')
    local count, most = num(gf[1]), room(cap, held[5], num(gf[2]))
    if theirs > 0 and most > 0 and count + theirs > most then
      call('DEL', r)
      back = reserved - math.min(reserved, 1000)
      call('HINCRBY', a, 'spent', 0 - back)
      call('HINCRBY', g, 'spent', 0 - back)
      call('HINCRBY', m, 'spent', 0 - back)
      return answer('covered', group, count + theirs, most)
    end
    if num(af[2]) + fresh > num(af[3]) then
      return {answer('claim', num(af[5]), num(call('HGET', g, 'size')), num(af[4]), num(af[3]),
        cap, held[3], held[4]), call('GET', c) or ''}
    end
    for _, cell in ipairs(mine) do
      call('SETBIT', c, cell, 1)
      call('SETBIT', u, cell, 1)
    end
    if fresh > 0 then call('HINCRBY', a, 'fresh', fresh) end
    if theirs > 0 then call('HINCRBY', g, 'count', theirs) end
  end
  call('DEL', r)
  if back > 0 then
    call('HINCRBY', a, 'spent', 0 - back)
    call('HINCRBY', g, 'spent', 0 - back)
    call('HINCRBY', m, 'spent', 0 - back)
  end
  anomaly = math.min(anomaly, 1125899906842624 - num(af[4]))
  if anomaly > 0 then
    call('HINCRBY', a, 'anomaly', anomaly)
    call('HINCRBY', g, 'anomaly', anomaly)
  end
  return answer('ok', now_us, held[3], held[4], balance(model, group, now_us))
end

-- model principal claimed all_claimed cells margin allowed all_allowed
function ops.grant(now_us)
  local model, principal = ARGV[4], ARGV[5]
  local a, m = name('a', model, principal), model_key(model)
  local af = call('HMGET', a, 'group', 'claimed', 'margin')
  if not af[1] then
    if missing(model, principal) then return answer('lost') end
    if call('SISMEMBER', P .. 'models', model) == 0 then
      call('HSET', m, 'spent', 0, 'allowed', ARGV[11])
    end
    local g = name('g', model, join(model, principal))
    call('HSET', a, 'spent', 0, 'allowed', ARGV[10])
    call('HINCRBY', g, 'spent', 0)
    call('HINCRBY', g, 'size', 1)
    call('HSET', g, 'mv', call('INCR', P .. 'mv'))
  end
  call('HSET', a, 'claimed', math.max(num(af[2]), tonumber(ARGV[6])),
    'margin', math.max(num(af[3]), tonumber(ARGV[9])))
  call('HSET', m, 'claimed', math.max(num(call('HGET', m, 'claimed')), tonumber(ARGV[7])))
  if ARGV[8] ~= '' then
    local c, k, t = name('c', model, principal), name('k', model, principal), P .. 'tmp'
    call('SET', t, ARGV[8])
    call('BITOP', 'OR', k, k, t)
    call('BITOP', 'AND', t, c, k)
    call('HSET', a, 'fresh', call('BITCOUNT', c) - call('BITCOUNT', t))
    call('DEL', t)
  end
  return answer('ok', now_us)
end

-- principal group
function ops.place(now_us)
  local principal, group = ARGV[4], ARGV[5]
  if principal == group then
    call('HDEL', P .. 'placed', principal)
  else
    call('HSET', P .. 'placed', principal, group)
  end
  for _, model in ipairs(call('SMEMBERS', P .. 'models')) do
    local a = name('a', model, principal)
    local old = call('HGET', a, 'group')
    if old and old ~= group then
      local from, to = name('g', model, old), name('g', model, group)
      local tat_us = math.max(num(call('HGET', from, 'tat')), num(call('HGET', to, 'tat')))
      call('SREM', name('s', model, old), principal)
      call('SADD', name('s', model, group), principal)
      call('HSET', a, 'group', group)
      call('HSET', to, 'tat', tat_us)
      recount(model, old)
      recount(model, group)
    end
  end
  return answer('ok', now_us)
end

-- model group
function ops.members(now_us)
  local model, group = ARGV[4], ARGV[5]
  return answer('ok', num(call('HGET', name('g', model, group), 'mv')),
    call('SMEMBERS', name('s', model, group)))
end

local function shown(model, group, now_us)
  local members, allowed = call('SMEMBERS', name('s', model, group)), nil
  for _, one in ipairs(members) do
    local own = num(call('HGET', name('a', model, one), 'allowed'))
    allowed = allowed and math.min(allowed, own) or own
  end
  return {members, allowed or 0, num(call('HGET', model_key(model), 'allowed')),
    balance(model, group, now_us)}
end

-- model group rung until_ms principal…
function ops.climb(now_us)
  local model, group, rung, until_ms = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
  if call('EXISTS', model_key(model)) == 0 then
    call('HSET', model_key(model), 'spent', 0, 'allowed', 0)
  end
  local touched = {}
  for at = 8, #ARGV do
    local a = name('a', model, ARGV[at])
    local own = call('HGET', a, 'group') or join(model, ARGV[at])
    call('HSET', a, 'rung', rung, 'until', rung > 0 and until_ms or 0)
    touched[own] = true
  end
  for own in pairs(touched) do recount(model, own) end
  return answer('ok', now_us, shown(model, group, now_us))
end

-- model
function ops.balances(now_us)
  local found = {}
  for _, group in ipairs(call('SMEMBERS', P .. 'groups:' .. ARGV[4])) do
    found[#found + 1] = shown(ARGV[4], group, now_us)
  end
  return answer('ok', now_us, found)
end

-- Building an epoch, before it is in force: principal group
function ops.loadplaced(now_us)
  call('HSET', P .. 'placed', ARGV[4], ARGV[5])
  return answer('ok', now_us)
end

-- model claimed allowed
function ops.loadmodel(now_us)
  call('HSET', model_key(ARGV[4]), 'spent', ARGV[5], 'claimed', ARGV[5], 'allowed', ARGV[6])
  return answer('ok', now_us)
end

-- model principal claimed cells lost anomaly allowed rung until_ms
function ops.loadaccount(now_us)
  local model, principal = ARGV[4], ARGV[5]
  join(model, principal)
  call('HSET', name('a', model, principal), 'spent', ARGV[6], 'claimed', ARGV[6], 'lost', ARGV[8],
    'anomaly', ARGV[9], 'allowed', ARGV[10], 'rung', ARGV[11], 'until', ARGV[12])
  if call('EXISTS', model_key(model)) == 0 then
    call('HSET', model_key(model), 'spent', 0, 'allowed', 0)
  end
  if ARGV[7] ~= '' then
    call('SET', name('c', model, principal), ARGV[7])
    call('SET', name('k', model, principal), ARGV[7])
  end
  return answer('ok', now_us)
end

-- model group
function ops.loadgroup(now_us)
  recount(ARGV[4], ARGV[5])
  return answer('ok', now_us)
end

function ops.activate(now_us)
  call('DEL', TOP)
  call('HSET', TOP, 'token', TOKEN, 'now', now_us, 'known', call('HLEN', P .. 'known'))
  return answer('ok', now_us)
end

local top = call('HMGET', TOP, 'token', 'now')
local now_us = clock(num(top[2]))
if op:sub(1, 4) == 'load' or op == 'activate' then return ops[op](now_us) end
if top[1] ~= TOKEN or num(top[2]) < seen_us then return answer('lost') end
call('HSET', TOP, 'now', now_us)
return ops[op](now_us)
