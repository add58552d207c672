"""What Redis does in one step: scripts in Lua.

Keys of a run: its head, a hash (header, nonce, count, bytes, ended), and its log, a stream whose entry `<n>-0` is
event n. All scripts but READ also take the set of runs that have not ended. `nonce` names the newest call that wrote,
so that a call whose answer got lost can be sent again without being done twice.
"""

CREATE = """
local nonce = redis.call('HGET', KEYS[1], 'nonce')
if nonce then
  return nonce == ARGV[1] and 1 or 0
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'header', ARGV[2], 'count', 0, 'bytes', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SADD', KEYS[3], ARGV[3])
return 1
"""
"""ARGV: nonce, header, run_id, ms to live. Returns 1 for the first caller."""

GONE, ENDED, FULL = -1, -2, -3

APPEND = """
local head = redis.call('HMGET', KEYS[1], 'count', 'bytes', 'ended', 'nonce')
local count, bytes = tonumber(head[1]), tonumber(head[2])
if not count or count < tonumber(ARGV[5]) then
  return {-1, 0}
end
if head[4] == ARGV[1] then
  return {count, bytes}
end
if head[3] then
  return {-2, 0}
end
count, bytes = count + 1, bytes + #ARGV[4]
local last = ARGV[6] == '1'
if not last and (count > tonumber(ARGV[7]) or bytes > tonumber(ARGV[8])) then
  return {-3, 0}
end
redis.call('XADD', KEYS[2], count .. '-0', 'event', ARGV[3], 'data', ARGV[4], 'position', bytes, 'last', ARGV[6])
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'count', count, 'bytes', bytes)
if last then
  redis.call('HSET', KEYS[1], 'ended', 1)
  redis.call('SREM', KEYS[3], ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[9])
redis.call('PEXPIRE', KEYS[2], ARGV[9])
return {count, bytes}
"""
"""ARGV: nonce, run_id, event, data, known count, last ('1' or '0'), most events, most bytes, ms to live.

Returns {number, position}, or {GONE | ENDED | FULL, 0}. A count below the one that the caller knows of is that of a
Redis which was restarted from an old snapshot.
"""

READ = """
local head = redis.call('HMGET', KEYS[1], 'count', 'ended')
local count = tonumber(head[1])
if not count or count < tonumber(ARGV[1]) then
  return false
end
local entries, bytes, after = {}, 0, ARGV[1] .. '-0'
while #entries < tonumber(ARGV[2]) do
  local page = redis.call('XRANGE', KEYS[2], '(' .. after, '+', 'COUNT', 50)
  for _, entry in ipairs(page) do
    bytes = bytes + #entry[2][4]
    if #entries > 0 and bytes > tonumber(ARGV[3]) then
      return {count, head[2] or '', entries}
    end
    entries[#entries + 1] = entry
    after = entry[1]
  end
  if #page < 50 then
    break
  end
end
return {count, head[2] or '', entries}
"""
"""ARGV: number to begin after, most events (in steps of 50), most bytes. Returns {count, ended, entries} or nil."""

DROP = """
local known = redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('SREM', KEYS[3], ARGV[1])
if known == 1 then
  redis.pcall('XADD', KEYS[2], '18446744073709551615-0', 'gone', '1')
  redis.pcall('PEXPIRE', KEYS[2], ARGV[2])
end
return known
"""
"""ARGV: run_id, ms to keep the mark. A deleted stream wakes nobody; an entry with an impossible number does."""

FORGET = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
end
"""
"""Keys: head, runs that have not ended. ARGV: run_id, whose log expired or was evicted."""
