-- skip(token, page, reason, event fields): L to X.

local token, page, reason = ARGV[2], ARGV[3], ARGV[4]

local s = load()
if not s then
  return { 'stale' }
end
local state, attempts, depth, held = parse(call('HGET', U, page))
if state == 'X' and held == token then
  return { 'dup', 'X' }
end
if state ~= 'L' or held ~= token then
  return { 'stale' }
end
call('ZREM', L, page)
call('HSET', U, page, value('X', attempts, depth, token, reason))
s.skipped = s.skipped + 1
event(s, 'skipped', 'page', page, 'reason', reason, unpack(ARGV, 5))
local ended = settle(s)
save(s)
return { 'done', 'X', ended }
