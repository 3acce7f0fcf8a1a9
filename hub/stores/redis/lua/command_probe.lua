#!lua flags=allow-oom
-- Tries each command that the hub needs, on a key of its own that is gone afterwards.
-- An administrator who limits the hub's user by a list of commands learns at the start which one is missing, and not
-- when that command is needed for the first time.
-- Reply: the names of those that this user may not run.

local K = KEYS[1] .. ':probe'
local TRIED = {
  { 'DEL', K }, { 'EXISTS', K }, { 'EXPIRE', K, 1 }, { 'GET', K }, { 'GETDEL', K }, { 'HDEL', K, 'a' },
  { 'HEXISTS', K, 'a' }, { 'HGET', K, 'a' }, { 'HGETALL', K }, { 'HINCRBY', K, 'a', 1 }, { 'HLEN', K },
  { 'HMGET', K, 'a' }, { 'HSET', K, 'a', 1 }, { 'HSETNX', K, 'a', 1 }, { 'PEXPIRE', K, 1000 }, { 'SADD', K, 'a' },
  { 'SET', K, 'a' }, { 'SMEMBERS', K }, { 'SREM', K, 'a' }, { 'STRLEN', K }, { 'UNLINK', K },
  { 'XADD', K, '*', 'a', 'b' }, { 'XGROUP', 'CREATE', K, 'a', '0' }, { 'XGROUP', 'DELCONSUMER', K, 'a', 'b' },
  { 'XREADGROUP', 'GROUP', 'a', 'b', 'COUNT', 1, 'STREAMS', K, '>' }, { 'XPENDING', K, 'a' },
  { 'XCLAIM', K, 'a', 'b', 0, '1-0', 'JUSTID' }, { 'XACK', K, 'a', '1-0' }, { 'XDEL', K, '1-0' },
  { 'XINFO', 'CONSUMERS', K, 'a' }, { 'XINFO', 'GROUPS', K }, { 'XLEN', K }, { 'XRANGE', K, '-', '+' },
  { 'XREAD', 'COUNT', 1, 'STREAMS', K, '0' }, { 'XREVRANGE', K, '+', '-' }, { 'XTRIM', K, 'MAXLEN', 0 }, { 'UNLINK', K },
  { 'TIME' }, { 'ZADD', K, 0, 'a' }, { 'ZCARD', K }, { 'ZLEXCOUNT', K, '-', '+' }, { 'ZRANGE', K, 0, 0 },
  { 'ZRANGEBYLEX', K, '-', '+' }, { 'ZRANGEBYSCORE', K, 0, 0 }, { 'ZREM', K, 'a' },
  { 'ZREMRANGEBYSCORE', K, 0, 0 }, { 'ZREVRANGEBYLEX', K, '+', '-' }, { 'ZSCORE', K, 'a' }, { 'UNLINK', K },
}

-- https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/: servers differ in their words.
local function is_denied(reply)
  local words = type(reply) == 'table' and reply.err or ''
  return string.find(words, "can't run this command", 1, true) ~= nil or string.find(words, 'permission', 1, true) ~= nil
    or string.find(words, "can't access at least one of the keys", 1, true) ~= nil
end

local denied, seen = {}, {}
for _, command in ipairs(TRIED) do
  if is_denied(redis.pcall(unpack(command))) and not seen[command[1]] then
    seen[command[1]] = true
    denied[#denied + 1] = command[1]
  end
end
return denied
