-- Limpet tracking. This text stands before every script.
--
-- KEYS are the seed's keys, always all of them, in this order. ARGV[1] is the
-- cap of the event stream; what follows is the script's own. A script checks
-- first and writes last, costs a fixed number of calls however many pages it is
-- given, and is given at most 256.
--
-- The order of the writes matters where a server's log can be torn inside a
-- script's transaction and half of it is executed all the same, as Redis 7.0 may:
-- what a page needs in its new state is written before the state, what it no
-- longer needs is removed after it. Of any first half an audit makes a whole.
--
-- A value of u is  <state><attempts>,<depth>[,<token>[,<reason>]]
--   Q queued or delayed, L leased, C crawled, F failed, X skipped.
-- The token is that of the lease that brought the page there, so that a call
-- repeated after a lost reply is known again; of C only its second half.

local STATUS, TOTAL, CRAWLED, FAILED, LAST, ENDED, M, U, URL, Q, D, L, R, EV, DLQ = unpack(KEYS)
local CAP = ARGV[1]
local call = redis.call

-- A score of q: depth first, then order of arrival; exact in a double up to 2^53.
local DEPTH = 1099511627776 -- 2^40
local MAX_DEPTH = 8191

local clock = call('TIME')
local seconds = tonumber(clock[1])
local ms = seconds * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Numbers of more than 14 digits lose some when Lua makes them strings.
local function integer(n)
  return string.format('%.0f', n)
end

local STRINGS = { status = STATUS, total = TOTAL, crawled = CRAWLED, failed = FAILED, last = LAST, ended = ENDED }
local FIELDS = { 'gen', 'seq', 'order', 'skipped', 'over', 'max_pages', 'max_depth', 'max_attempts' }

-- load reads the counters and limits of the seed; nil when it was never
-- submitted. s.was keeps what was read, for save.
local function load()
  local c = call('MGET', STATUS, TOTAL, CRAWLED, FAILED, ENDED)
  if not c[1] then
    return nil
  end
  local s = {
    status = c[1],
    total = tonumber(c[2]) or 0,
    crawled = tonumber(c[3]) or 0,
    failed = tonumber(c[4]) or 0,
    ended = tonumber(c[5]),
  }
  local m = call('HMGET', M, unpack(FIELDS))
  for i, name in ipairs(FIELDS) do
    s[name] = tonumber(m[i]) or 0
  end
  local was = {}
  for name, value in pairs(s) do
    was[name] = value
  end
  s.was = was
  return s
end

-- save writes what has changed since load. Counters are written as they should
-- read, not as increments: written twice, they are still right.
local function save(s)
  local strings, fields = {}, {}
  for name, key in pairs(STRINGS) do
    if s[name] and s[name] ~= s.was[name] then
      strings[#strings + 1] = key
      strings[#strings + 1] = name == 'status' and s[name] or integer(s[name])
    end
  end
  for _, name in ipairs(FIELDS) do
    if s[name] ~= s.was[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = integer(s[name])
    end
  end
  if #strings > 0 then
    call('MSET', unpack(strings))
  end
  if #fields > 0 then
    call('HSET', M, unpack(fields))
  end
  if s.was.ended and not s.ended then
    call('DEL', ENDED)
  end
end

local function event(s, kind, ...)
  call('XADD', EV, 'MAXLEN', '~', CAP, '*', 'kind', kind, 'gen', integer(s.gen), ...)
end

-- settle ends the seed when nothing is left of it: 1 when this call does. By the
-- counters the question costs nothing; when they say yes the indexes must agree.
-- completed_at is there exactly while the seed has ended, hence one event.
local function settle(s)
  if s.ended or s.total > s.crawled + s.failed + s.skipped then
    return 0
  end
  if call('ZCARD', L) + call('ZCARD', Q) + call('ZCARD', D) > 0 then
    return 0
  end
  if s.status ~= 'cancelled' then
    s.status = 'completed'
  end
  s.ended = seconds
  event(s, 'completed', 'status', s.status, 'total', integer(s.total), 'crawled', integer(s.crawled),
    'failed', integer(s.failed), 'skipped', integer(s.skipped))
  return 1
end

-- parse takes a value of u apart; nil for one that is none.
local function parse(v)
  if not v then
    return nil
  end
  local state, attempts, depth, token = string.match(v, '^([QLCFX])(%d+),(%d+),?([^,]*)')
  if not state then
    return nil
  end
  return state, tonumber(attempts), tonumber(depth), token
end

local function value(state, attempts, depth, token, reason)
  local v = state .. attempts .. ',' .. depth
  if token then
    v = v .. ',' .. token
  end
  if reason then
    v = v .. ',' .. reason
  end
  return v
end

-- score gives a page the next place in the queue, behind those of its depth.
local function score(s, depth)
  s.order = s.order + 1
  return integer(depth * DEPTH + s.order)
end

-- arrive queues those of n pages that are not in u yet. ARGV holds from `from`
-- on n ids, n depths, n URLs; known[skip + i] is what u holds for the i-th. The
-- new values of u are added to `u`, which the caller writes. Counts new, known
-- and refused pages.
local function arrive(s, from, n, known, skip, u)
  local url, q, seen = {}, {}, {}
  local new, old, refused = 0, 0, 0
  for i = 1, n do
    local id = ARGV[from + i - 1]
    if known[skip + i] or seen[id] then
      old = old + 1
    else
      local depth = tonumber(ARGV[from + n + i - 1])
      if s.status == 'cancelled' or depth > MAX_DEPTH
        or (s.max_depth > 0 and depth > s.max_depth)
        or (s.max_pages > 0 and s.total >= s.max_pages) then
        refused = refused + 1
      else
        seen[id] = true
        new = new + 1
        s.total = s.total + 1
        u[#u + 1] = id
        u[#u + 1] = value('Q', 0, depth)
        url[#url + 1] = id
        url[#url + 1] = ARGV[from + 2 * n + i - 1]
        q[#q + 1] = score(s, depth)
        q[#q + 1] = id
      end
    end
  end
  if new > 0 then
    call('HSET', URL, unpack(url))
    call('ZADD', Q, unpack(q))
  end
  return new, old, refused
end

-- A dead letter: attempts, when, the last error.
local function letter(attempts, err)
  return attempts .. ' ' .. integer(ms) .. ' ' .. err
end

