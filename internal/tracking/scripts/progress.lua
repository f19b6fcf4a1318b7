-- progress: all figures of one instant. Writes nothing.

local s = load()
if not s then
  return { 'unknown' }
end
return {
  'ok', s.status, s.gen, s.total, s.crawled, s.failed, s.skipped, s.over,
  call('ZCARD', Q), call('ZCARD', D), call('ZCARD', L),
  call('HGET', M, 'created') or 0, call('GET', LAST) or 0, s.ended or 0,
}
