-- fail(token, page, error, retryable, delay ms, event fields)
-- L to Q, delayed, while attempts are left; else L to F with a dead letter. What
-- would be tried again of a cancelled seed goes to X.

local token, page, err, retryable, delay = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])

local s = load()
if not s then
  return { 'stale' }
end
local state, attempts, depth, held = parse(call('HGET', U, page))
if held == token and state ~= 'L' and state ~= 'C' then
  return { 'dup', state == 'Q' and 'D' or state }
end
if state ~= 'L' or held ~= token then
  return { 'stale' }
end
if retryable and attempts < s.max_attempts then
  if s.status == 'cancelled' then
    call('HSET', U, page, value('X', attempts, depth, token, 'cancelled'))
    s.skipped = s.skipped + 1
    event(s, 'skipped', 'page', page, 'reason', 'cancelled', 'error', err, unpack(ARGV, 7))
    state = 'X'
  else
    call('HSET', U, page, value('Q', attempts, depth, token))
    call('ZADD', D, integer(ms + delay), page)
    event(s, 'delayed', 'page', page, 'error', err, 'attempts', attempts, unpack(ARGV, 7))
    state = 'D'
  end
else
  call('HSET', DLQ, page, letter(attempts, err))
  call('HSET', U, page, value('F', attempts, depth, token))
  s.failed = s.failed + 1
  event(s, 'failed', 'page', page, 'error', err, 'attempts', attempts, unpack(ARGV, 7))
  state = 'F'
end
call('ZREM', L, page)
local ended = settle(s)
save(s)
return { 'done', state, ended }
