-- extend(token, page, ms): the lease lapses that much from now.

local state, _, _, held = parse(call('HGET', U, ARGV[3]))
if state ~= 'L' or held ~= ARGV[2] then
  return { 'stale' }
end
local deadline = integer(ms + tonumber(ARGV[4]))
call('ZADD', L, 'XX', deadline, ARGV[3])
return { 'done', deadline }
