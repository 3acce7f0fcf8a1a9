#!lua flags=allow-oom
-- needs: key
-- Marks the store with the format of this version, unless it has a mark.
--
-- Without a mark it is empty, or the first release wrote it, whose format is 1. When STORE_FORMAT is raised, `epoch`
-- tells the two apart: the first write sets it.

redis.call('HSETNX', key.meta, 'format', STORE_FORMAT)
