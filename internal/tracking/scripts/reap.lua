-- reap(limit, all): pages whose lease has lapsed, or all leased pages. Back to Q; to F when their attempts
-- are spent; to X when the seed is cancelled. The token goes, so whatever the late
-- worker still sends is stale.
-- Answers {ok, status, queued again, failed, skipped, ended, left in the queue}.

local s = load()
if not s then
  return { 'unknown' }
end
local lapsed = call('ZRANGEBYSCORE', L, '-inf', ARGV[3] == '1' and '+inf' or integer(ms), 'LIMIT', 0, ARGV[2])
local requeued, failed, skipped = 0, 0, 0
if #lapsed > 0 then
  local values, u, q, dlq = call('HMGET', U, unpack(lapsed)), {}, {}, {}
  for i, id in ipairs(lapsed) do
    local state, attempts, depth = parse(values[i])
    if state == 'L' then
      local err = 'lease expired ' .. attempts .. (attempts == 1 and ' time' or ' times')
      u[#u + 1] = id
      if s.status == 'cancelled' then
        u[#u + 1] = value('X', attempts, depth, '', 'cancelled')
        skipped = skipped + 1
        event(s, 'skipped', 'page', id, 'reason', 'cancelled', 'error', err)
      elseif attempts >= s.max_attempts then
        u[#u + 1] = value('F', attempts, depth)
        dlq[#dlq + 1] = id
        dlq[#dlq + 1] = letter(attempts, err)
        failed = failed + 1
        event(s, 'failed', 'page', id, 'error', err, 'attempts', attempts)
      else
        u[#u + 1] = value('Q', attempts, depth)
        q[#q + 1] = score(s, depth)
        q[#q + 1] = id
        requeued = requeued + 1
        event(s, 'requeued', 'page', id, 'reason', 'lapsed', 'attempts', attempts)
      end
    end
  end
  if #q > 0 then
    call('ZADD', Q, unpack(q))
  end
  if #dlq > 0 then
    call('HSET', DLQ, unpack(dlq))
  end
  if #u > 0 then
    call('HSET', U, unpack(u))
  end
  call('ZREM', L, unpack(lapsed))
  s.failed = s.failed + failed
  s.skipped = s.skipped + skipped
end
local ended = 0
if #lapsed > 0 then
  ended = settle(s)
  save(s)
end
local left = 0
if s.status == 'cancelled' then
  left = call('ZCARD', Q) + call('ZCARD', D)
end
return { 'ok', s.status, requeued, failed, skipped, ended, left }
