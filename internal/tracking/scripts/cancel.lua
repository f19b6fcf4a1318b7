-- cancel(limit): Q to X for so many pages. The status comes first, so nothing is
-- claimed while the rest follows. Answers {ok, status, left, in flight}.

local limit = tonumber(ARGV[2])

local s = load()
if not s then
  return { 'unknown' }
end
if s.status == 'completed' then
  return { 'ok', s.status, 0, 0 }
end
local fresh = s.status ~= 'cancelled'
s.status = 'cancelled'

local moved = 0
for _, key in ipairs({ Q, D }) do
  local ids = limit > moved and call('ZRANGE', key, 0, limit - moved - 1) or {}
  if #ids > 0 then
    local values, u = call('HMGET', U, unpack(ids)), {}
    for i, id in ipairs(ids) do
      local state, attempts, depth = parse(values[i])
      if state == 'Q' then
        u[#u + 1] = id
        u[#u + 1] = value('X', attempts, depth, '', 'cancelled')
      end
    end
    call('ZREM', key, unpack(ids))
    if #u > 0 then
      call('HSET', U, unpack(u))
    end
    moved = moved + #u / 2
  end
end
s.skipped = s.skipped + moved
if fresh or moved > 0 then
  event(s, 'cancelled', 'pages', moved)
end
settle(s)
save(s)
return { 'ok', s.status, call('ZCARD', Q) + call('ZCARD', D), call('ZCARD', L) }
