-- claim(n, lease ms, nonce, again, run)
-- Q to L for up to n pages; the attempt is spent here. The token is
-- <sequence>.<nonce>, one for all pages of the call: a page is claimed once a call.
-- Answers {ok, status, generation, deadline, token, now, ms until a delayed page is
-- due, ms until a lease lapses, then id, URL, depth, attempt of each page}, or
-- {audit} when the seed was last audited under another run of the server.

local n, lease, nonce, again, run = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5] == '1', ARGV[6]

local s = load()
if not s then
  return { 'unknown' }
end
if run ~= '' and call('HGET', M, 'run') ~= run then
  return { 'audit' }
end

-- answer lists pages: ids with their values of u, those that are leased with
-- exactly this token, or with any token of this nonce.
local function answer(deadline, token, ids, values, urls)
  local r = { 'ok', s.status, s.gen, integer(deadline), token, integer(ms), 0, 0 }
  for i, id in ipairs(ids) do
    local _, attempts, depth = parse(values[i])
    local at = #r
    r[at + 1], r[at + 2], r[at + 3], r[at + 4] = id, urls[i] or '', depth, attempts
  end
  return r
end

-- The reply to an earlier sending of this call may be lost. Its leases are
-- among those with the latest deadlines; they are given out again as they are.
if again then
  local latest = call('ZREVRANGE', L, 0, 1023)
  if #latest > 0 then
    local values = call('HMGET', U, unpack(latest))
    local ids, kept, token = {}, {}, nil
    for i, id in ipairs(latest) do
      local state, _, _, held = parse(values[i])
      if state == 'L' and string.sub(held, -#nonce - 1) == '.' .. nonce then
        ids[#ids + 1], kept[#kept + 1], token = id, values[i], held
      end
    end
    if token then
      local deadline = call('ZSCORE', L, ids[1])
      return answer(tonumber(deadline), token, ids, kept, call('HMGET', URL, unpack(ids)))
    end
  end
end

if s.status ~= 'running' then
  local r = answer(0, '', {}, {}, {})
  r[7], r[8] = -1, -1
  return r
end

-- Delayed pages whose time has come join the queue.
local due = call('ZRANGEBYSCORE', D, '-inf', integer(ms), 'LIMIT', 0, 256)
if #due > 0 then
  local values, q = call('HMGET', U, unpack(due)), {}
  for i, id in ipairs(due) do
    local state, _, depth = parse(values[i])
    if state == 'Q' then
      q[#q + 1] = score(s, depth)
      q[#q + 1] = id
    end
  end
  call('ZREM', D, unpack(due))
  if #q > 0 then
    call('ZADD', Q, unpack(q))
  end
end

local popped, ids = call('ZPOPMIN', Q, n), {}
for i = 1, #popped, 2 do
  ids[#ids + 1] = popped[i]
end
local deadline, token = ms + lease, ''
local leased, now = {}, {}
if #ids > 0 then
  token = integer(s.seq + 1) .. '.' .. nonce
  local values, u, l = call('HMGET', U, unpack(ids)), {}, {}
  for i, id in ipairs(ids) do
    local state, attempts, depth = parse(values[i])
    if state == 'Q' then -- else the queue was wrong, and now it is not
      local v = value('L', attempts + 1, depth, token)
      leased[#leased + 1], now[#now + 1] = id, v
      u[#u + 1] = id
      u[#u + 1] = v
      l[#l + 1] = integer(deadline)
      l[#l + 1] = id
    end
  end
  if #u > 0 then
    s.seq = s.seq + 1
    call('HSET', U, unpack(u))
    call('ZADD', L, unpack(l))
  end
end
save(s)

local urls = {}
if #leased > 0 then
  urls = call('HMGET', URL, unpack(leased))
end
local r = answer(deadline, token, leased, now, urls)
if #leased < n then
  local function wait(key)
    local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, tonumber(first[2]) - ms) or -1
  end
  r[7], r[8] = wait(D), wait(L)
end
return r
