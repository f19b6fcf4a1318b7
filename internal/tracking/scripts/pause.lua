-- pause: claim gives nothing out. Answers {ok, status, in flight}.

local s = load()
if not s then
  return { 'unknown' }
end
if s.status == 'running' then
  s.status = 'paused'
  event(s, 'paused')
  save(s)
end
return { 'ok', s.status, call('ZCARD', L) }
