-- discover(token, n, page, pages): queues links while their page is in flight, so
-- that pending cannot touch 0 early. Pages refused are reported, not counted: the
-- same links may come again after a lost reply, and complete counts them once.

local token, n = ARGV[2], tonumber(ARGV[3])
local PAGE = 4

local s = load()
if not s then
  return { 'stale' }
end
local values = call('HMGET', U, unpack(ARGV, PAGE, PAGE + n))
local state, _, _, held = parse(values[1])
if state ~= 'L' or held ~= token then
  return { 'stale' }
end
local u = {}
local new, known, refused = arrive(s, PAGE + 1, n, values, 1, u)
if new > 0 then
  call('HSET', U, unpack(u))
  save(s)
end
return { 'done', new, known, refused }
