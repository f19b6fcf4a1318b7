-- complete(token, record, refused, n, fields, page, pages, event fields)
-- L to C, with the record kept and the links queued.

local token, record, earlier, n, fields = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local PAGE = 7
local page = ARGV[PAGE]

local s = load()
if not s then
  return { 'stale' }
end
local values = call('HMGET', U, unpack(ARGV, PAGE, PAGE + n))
local state, attempts, depth, held = parse(values[1])
if state == 'C' and held == token then
  return { 'dup', 'C' }
end
if state ~= 'L' or held ~= token then
  return { 'stale' }
end

local u = { page, value('C', attempts, depth, token) }
local new, known, refused = arrive(s, PAGE + 1, n, values, 1, u)
s.over = s.over + refused + earlier
call('HSET', R, page, record)
call('ZREM', L, page)
call('HDEL', URL, page)
call('HSET', U, unpack(u))
s.crawled = s.crawled + 1
s.last = seconds
local first = PAGE + 1 + 3 * n
event(s, 'crawled', 'page', page, unpack(ARGV, first, first + fields - 1))
local ended = settle(s)
save(s)
return { 'done', 'C', ended, new, known, refused }
