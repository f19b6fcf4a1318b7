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
-- Of a crawled page's token only the nonce is kept: 14 bytes a value are where
-- the allocator of Redis draws a line, and there are many of these.
local nonce = string.match(token, '%.(.*)$') or token
if state == 'C' and held == nonce then
  return { 'dup', 'C' }
end
if state ~= 'L' or held ~= token then
  return { 'stale' }
end

local u = { page, value('C', attempts, depth, nonce) }
local new, known, refused = arrive(s, PAGE + 1, n, values, 1, u)
s.over = s.over + refused + earlier
call('HSET', R, page, record)
call('HSET', U, unpack(u))
call('HDEL', URL, page)
call('ZREM', L, page)
s.crawled = s.crawled + 1
s.last = seconds
local first = PAGE + 1 + 3 * n
event(s, 'crawled', 'page', page, unpack(ARGV, first, first + fields - 1))
local ended = settle(s)
save(s)
return { 'done', 'C', ended, new, known, refused }
