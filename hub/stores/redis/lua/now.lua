-- needs: clock
-- Reply: the time of scripts (ms).

return clock.now
