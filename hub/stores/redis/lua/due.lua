-- needs: key, clock
-- Reads when the first pending delivery of each lane is due.
-- Reply: lane, and in how many milliseconds, in turn.

local reply = redis.call('ZRANGE', key.due, 0, -1, 'WITHSCORES')
for place = 2, #reply, 2 do reply[place] = reply[place] - clock.now end
return reply
