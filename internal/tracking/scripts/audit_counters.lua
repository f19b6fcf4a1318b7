-- audit_counters(repair, run, off u, off q, off d, off l, off dlq, off r)
-- Compares the counters with the sizes of the keys, each corrected by how much it
-- is known to be off: what is left of u when all other states are taken away was
-- skipped. Run by run the seed is marked as audited when it is in order.
-- Answers {ok, generation, total, queued, delayed, leased, crawled, failed, skipped,
-- status, then differences as audit_pages}.

local repair, run = ARGV[2] == '1', ARGV[3]

local total = call('HLEN', U) + ARGV[4]
local queued, delayed = call('ZCARD', Q) + ARGV[5], call('ZCARD', D) + ARGV[6]
local leased = call('ZCARD', L) + ARGV[7]
local failed = call('HLEN', DLQ) + ARGV[8]
local crawled = call('HLEN', R) + ARGV[9]
local skipped = total - queued - delayed - leased - failed - crawled
local pending = queued + delayed + leased

local c = call('MGET', STATUS, TOTAL, CRAWLED, FAILED, ENDED)
local m = call('HMGET', M, 'gen', 'skipped', 'max_attempts', 'seq', 'order')
if not c[1] and total == 0 then
  return { 'unknown' }
end

local status = c[1]
if status == 'paused' and pending == 0 or status == 'running' and pending == 0 then
  status = 'completed'
elseif status == 'completed' and pending > 0 then
  status = 'running'
elseif status ~= 'running' and status ~= 'paused' and status ~= 'completed' and status ~= 'cancelled' then
  status = pending > 0 and 'running' or 'completed'
end

local answer = { 'ok', tonumber(m[1]) or 1, total, queued, delayed, leased, crawled, failed, skipped, status }
local differences = 0

local function compare(what, want, have, mend)
  want = tostring(want)
  if want ~= (have or 'absent') then
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = what, '', want, have or 'absent'
    differences = differences + 1
    if repair then
      mend(want)
    end
  end
end

local function set(key)
  return function(want) call('SET', key, want) end
end

local function field(name)
  return function(want) call('HSET', M, name, want) end
end

compare('total', integer(total), c[2], set(TOTAL))
compare('crawled', integer(crawled), c[3], set(CRAWLED))
compare('failed', integer(failed), c[4], set(FAILED))
compare('skipped', integer(skipped), m[2], field('skipped'))
compare('status', status, c[1], set(STATUS))
compare('generation', m[1] or '1', m[1], field('gen'))
compare('max_attempts', m[3] or '3', m[3], field('max_attempts'))
compare('seq', m[4] or '0', m[4], field('seq'))
compare('order', m[5] or '0', m[5], field('order'))
if pending == 0 then
  compare('completed_at', c[5] or integer(seconds), c[5], set(ENDED))
else
  compare('completed_at', 'absent', c[5], function() call('DEL', ENDED) end)
end

if repair and differences > 0 then
  event({ gen = answer[2] }, 'repaired')
end
if run ~= '' then
  call('HSET', M, 'run', run)
end
return answer
