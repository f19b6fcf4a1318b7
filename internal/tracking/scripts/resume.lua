-- resume: the seed runs again. Answers {ok, status, in flight}.

local s = load()
if not s then
  return { 'unknown' }
end
if s.status == 'paused' then
  s.status = 'running'
  event(s, 'resumed')
  save(s)
end
return { 'ok', s.status, call('ZCARD', L) }
