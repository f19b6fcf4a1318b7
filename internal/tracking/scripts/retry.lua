-- retry(pages): F to Q with all attempts. A completed seed runs again.
-- Answers {ok, status, queued}.

local s = load()
if not s then
  return { 'unknown' }
end
if s.status == 'cancelled' then
  return { 'cancelled' }
end
local values, seen = call('HMGET', U, unpack(ARGV, 2)), {}
local u, q, letters = {}, {}, {}
for i = 1, #ARGV - 1 do
  local id = ARGV[i + 1]
  local state, _, depth = parse(values[i])
  if state == 'F' and not seen[id] then
    seen[id] = true
    u[#u + 1] = id
    u[#u + 1] = value('Q', 0, depth)
    q[#q + 1] = score(s, depth)
    q[#q + 1] = id
    letters[#letters + 1] = id
  end
end
if #letters > 0 then
  call('HSET', U, unpack(u))
  call('ZADD', Q, unpack(q))
  call('HDEL', DLQ, unpack(letters))
  s.failed = s.failed - #letters
  s.ended = nil
  if s.status == 'completed' then
    s.status = 'running'
  end
  event(s, 'retried', 'pages', #letters)
  save(s)
end
return { 'ok', s.status, #letters }
