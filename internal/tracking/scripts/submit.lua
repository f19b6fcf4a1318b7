-- submit(key, remember, recrawl, max_pages, max_depth, max_attempts, options, n, pages)
-- Starts a generation, joins the one that runs, or leaves a finished one alone.
-- Answers {ok, c created | j joined | u unchanged, generation, status, repeated, added}.

local key, remember, recrawl = ARGV[2], ARGV[3] == '1', ARGV[4] == '1'
local n = tonumber(ARGV[9])
local FIRST, KEPT = 10, 100

local s = load()
local keys = call('HGET', M, 'keys') or ''

-- keys is a list of <key>:<generation><code>; with the newest last.
local gen, code = string.match(keys, string.gsub(key, '%-', '%%-') .. ':(%d+)(%a);')
if s and gen then
  return { 'ok', code, tonumber(gen), s.status, 1, 0 }
end
if not s and call('EXISTS', U) == 1 then
  return { 'damaged' }
end

local finished = s and (s.status == 'completed' or s.status == 'cancelled')
if finished and not recrawl then
  code = 'u'
elseif s and not finished then
  code = 'j'
else
  code = 'c'
end

local added, changed = 0, code == 'c'
if code == 'c' then
  -- The finished generation goes as a whole, in the same step that starts the
  -- next, so no counter is ever seen beside the pages of another. The sequence
  -- goes on, so that old tokens stay old. The events stay: they name their
  -- generation, and readers go on where they were.
  local old = s or { gen = 0, seq = 0, order = 0 }
  if s then
    call('UNLINK', TOTAL, CRAWLED, FAILED, LAST, ENDED, U, URL, Q, D, L, R, DLQ)
  end
  s = {
    status = 'running', total = 0, crawled = 0, failed = 0,
    gen = old.gen + 1, seq = old.seq, order = old.order, skipped = 0, over = 0,
    max_pages = tonumber(ARGV[5]), max_depth = tonumber(ARGV[6]), max_attempts = tonumber(ARGV[7]),
    was = {},
  }
  call('HSET', M, 'schema', 1, 'created', integer(seconds), 'options', ARGV[8])
  event(s, 'started')
end
if code ~= 'u' then
  local u = {}
  local known = call('HMGET', U, unpack(ARGV, FIRST, FIRST + n - 1))
  local new, _, refused = arrive(s, FIRST, n, known, 0, u)
  added, s.over = new, s.over + refused
  changed = changed or added + refused > 0
  if added > 0 then
    call('HSET', U, unpack(u))
  end
  settle(s)
  save(s)
end
if remember or changed then
  keys = keys .. key .. ':' .. integer(s.gen) .. code .. ';'
  local _, count = string.gsub(keys, ';', ';')
  if count > KEPT then
    keys = string.gsub(keys, '^[^;]*;', '', 1)
  end
  call('HSET', M, 'keys', keys)
end
return { 'ok', code, s.gen, s.status, 0, added }
