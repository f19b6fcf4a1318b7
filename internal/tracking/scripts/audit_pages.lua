-- audit_pages(index, cursor, count, repair)
-- Takes one step of a scan of u, url, q, d, l, dlq or r, and compares each page it
-- meets there with what its state asks for: everywhere for pages of u, and in the
-- other indexes for pages that u does not know.
-- Answers {ok, next cursor, then what, page, want, have of each difference}.

local index, cursor, count, repair = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'

local KEY = { u = U, url = URL, q = Q, d = D, l = L, dlq = DLQ, r = R }

local answer = { 'ok', '0' }

local function differ(what, page, want, have)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = what, page, want, have
end

-- What each state asks for. A page in Q is in q or in d.
local NEEDS = {
  Q = { url = true, q = true },
  L = { url = true, l = true },
  C = { r = true },
  F = { url = true, dlq = true },
  X = { url = true },
  [''] = {},
}

local s = load() or { order = 0, gen = 1, was = {} }

-- The state of a page that u has lost follows from what else is known of it.
local function guess(has)
  if has.r then
    return 'C'
  elseif has.dlq then
    return 'F'
  elseif has.url then
    return 'Q'
  end
  return ''
end

local MEND = {
  url = function(id) call('HSET', URL, id, '') end, -- claim fails a page without one
  q = function(id, depth) call('ZADD', Q, score(s, depth), id) end,
  l = function(id) call('ZADD', L, integer(ms), id) end, -- lapses at once
  dlq = function(id) call('HSET', DLQ, id, letter(0, 'the error was lost')) end,
  r = function(id) call('HSET', R, id, '') end,
}

local function check(id, held, has)
  local state, _, depth = parse(held)
  if not state then
    state = guess(has)
    depth = has.q and math.min(MAX_DEPTH, math.floor(has.q / DEPTH)) or 0
    local want = state ~= '' and value(state, 0, depth) or 'absent'
    if held or state ~= '' then
      differ('u', id, want, held or 'absent')
    end
    if repair and state ~= '' then
      call('HSET', U, id, want)
    elseif repair and held then
      call('HDEL', U, id)
    end
  end
  local needs = NEEDS[state]
  for _, name in ipairs({ 'url', 'q', 'd', 'l', 'dlq', 'r' }) do
    local wanted = needs[name] or false
    if state == 'Q' and has.d and not has.q then
      if name == 'q' then wanted = false end
      if name == 'd' then wanted = true end
    end
    if wanted and not has[name] then
      differ(name, id, 'present in state ' .. state, 'absent')
      if repair then
        MEND[name](id, depth)
      end
    elseif has[name] and not wanted then
      differ(name, id, 'absent', 'present in state ' .. (state ~= '' and state or 'unknown'))
      if repair and (name == 'q' or name == 'd' or name == 'l') then
        call('ZREM', KEY[name], id)
      elseif repair then
        call('HDEL', KEY[name], id)
      end
    end
  end
end

-- check_all looks at up to 256 pages.
local function check_all(ids)
  local values, urls, letters = call('HMGET', U, unpack(ids)), call('HMGET', URL, unpack(ids)), call('HMGET', DLQ, unpack(ids))
  local q, d, l = call('ZMSCORE', Q, unpack(ids)), call('ZMSCORE', D, unpack(ids)), call('ZMSCORE', L, unpack(ids))
  for i, id in ipairs(ids) do
    if index == 'u' or not parse(values[i]) then
      check(id, values[i], {
        url = urls[i] and true, dlq = letters[i] and true,
        q = q[i] and tonumber(q[i]), d = d[i] and true, l = l[i] and true,
        r = call('HEXISTS', R, id) == 1, -- records are too long to be read for this
      })
    end
  end
end

local scan = (index == 'q' or index == 'd' or index == 'l') and 'ZSCAN' or 'HSCAN'
local step = call(scan, KEY[index], cursor, 'COUNT', count)
answer[2] = step[1]
local ids = {}
for i = 1, #step[2], 2 do -- a small hash comes whole, whatever the count
  ids[#ids + 1] = step[2][i]
  if #ids == 256 then
    check_all(ids)
    ids = {}
  end
end
if #ids > 0 then
  check_all(ids)
end
if repair and s.order ~= s.was.order and s.order > 0 then
  call('HSET', M, 'order', integer(s.order))
end
return answer
