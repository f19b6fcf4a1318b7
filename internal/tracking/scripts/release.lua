-- release(token, page, event fields): L to Q, and the attempt is given back. Of a
-- cancelled seed, L to X.

local token, page = ARGV[2], ARGV[3]

local s = load()
if not s then
  return { 'stale' }
end
local state, attempts, depth, held = parse(call('HGET', U, page))
if (state == 'Q' or state == 'X') and held == token then
  return { 'dup', state }
end
if state ~= 'L' or held ~= token then
  return { 'stale' }
end
call('ZREM', L, page)
if s.status == 'cancelled' then
  call('HSET', U, page, value('X', attempts - 1, depth, token, 'cancelled'))
  s.skipped = s.skipped + 1
  event(s, 'skipped', 'page', page, 'reason', 'cancelled', unpack(ARGV, 4))
  state = 'X'
else
  call('HSET', U, page, value('Q', attempts - 1, depth, token))
  call('ZADD', Q, score(s, depth), page)
  event(s, 'requeued', 'page', page, 'reason', 'released', unpack(ARGV, 4))
  state = 'Q'
end
local ended = settle(s)
save(s)
return { 'done', state, ended }
