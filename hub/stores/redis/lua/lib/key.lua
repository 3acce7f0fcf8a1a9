-- The keys of a hub, and what each holds. All begin with the prefix (KEYS[1]), which is their hash tag, so that in a
-- Cluster they share one slot; see docs/decisions/0009. Data on servers have these names: none may change without a new
-- STORE_FORMAT. keyspace/key_names.py has those that Python reads.
--
--   e:<event>    string: the event as it was accepted, a msgpack array as StoredEvent has it
--   s:<event>    hash, the event's state:
--                at (accepted, ms), type, sum (digest of the document), open (how many deliveries are pending or
--                sending), ended (when the last of its deliveries ended, ms, once none was open), fan (the fan-out cursor,
--                while there is one), match (see matches.lua), cancelled (ms, once it is)
--   o:<event>    index of its deliveries
--   d:<delivery> hash: ten, evt, type, sub (its lane), chan, st (status), why (reason), n (attempts), base (schedule
--                base), spare (steps spared of the schedule), tok (token), cp (checkpoint), by (cause), due (ms), at (created, ms), upd (updated, ms), place (see ready.lua);
--                what is empty is absent. Fields that are numbers are its short attempts, by number
--   a:<delivery> hash: its long attempts, by number. Redis keeps a small hash in one compact block, but only while each
--                value is at most 64 bytes (hash-max-listpack-value); with a longer one it takes three times the memory
--   meta         hash of counters: feed, trimmed (feed ids), blocks_from and blocks_to (see feed.lua), signals, version (of the catalogue), leases (tokens
--                given); and of marks: format (STORE_FORMAT), written (the last call that wrote records), and those of
--                loss.lua
--   feed         stream, ids <n>-0 without gaps, except where a server lost some: at (ms), entry (msgpack)
--   signals      stream, ids <n>-0 without gaps, about the newest 10,000: due (msgpack map lane -> ms, 0 for now),
--                now (ms, when it was written), fans_out, catalogue
--   delivery-expiries  sorted set: the deliveries of events that expire, by when (ms), until they are found to have ended
--   clock        hash, see clock.lua
--   clock-mark   string: what was seen of clocks last (JSON)
--   reports      hash: by process, 13 digits of its end (ms) and what it tells of itself
--   i:<tenant>:<digest>  an idempotency record, whose index is `expiring`
--   source:<tenant>:<digest>  string: the id of the event that came with this (source, source_id)
-- Indexes are sorted sets whose members are `<13 digits of milliseconds><id>`. Their scores are all 0, so that members
-- are in the order of their bytes and ranges of them can be read (ZRANGEBYLEX), from a cursor too:
--   events:<tenant>, subject:<tenant>:<digest>, fan-outs:<tenant>          by acceptance
--   closed                                                                 by the end of the last delivery, or by
--                                                                          acceptance
--   status:<tenant>:<channel>:<status>, lane:<tenant>:<lane>:<status>      by creation; a delivery is in one of each
--   dead:<tenant>:<channel>                                                by last update
--   attempts:<tenant>:<channel>:<outcome>, members end in `:<number>:<duration in ms>`   by start
--   expiring                                                               by expiry, members end in
--                                                                          `<tenant>:<digest>`
-- feed-blocks:<tenant>  sorted set: the blocks of a thousand feed ids that have an entry of this tenant, see feed.lua
--   changes      hash: id -> a change to the deliveries of an event (JSON), while it is under way
-- Sets: channels:<tenant> and lanes:<tenant> of the tenant's deliveries; tenants, of the events; fanning, of the
-- tenants that have fan-outs. Format 1 had the fan-outs of all tenants in one index, fan-outs.

local HUB = KEYS[1]

local key = {
  clock = HUB .. ':clock',
  clock_mark = HUB .. ':clock-mark',
  due = HUB .. ':due',
  all_lanes = HUB .. ':lanes',
  lanes_under_way = HUB .. ':leases',
  reconciler = HUB .. ':reconciler',
  records = HUB .. ':records',
  record_versions = HUB .. ':record-versions',
  tasks_unfinished = HUB .. ':tasks-unfinished',
  tasks_ended = HUB .. ':tasks-ended',
  leases = HUB .. ':rights',
  reports = HUB .. ':reports',
  schedules = HUB .. ':schedules',
  schedule_tokens = HUB .. ':schedule-tokens',
  transfer = HUB .. ':transfer',
  meta = HUB .. ':meta',
  feed = HUB .. ':feed',
  signals = HUB .. ':signals',
  closed = HUB .. ':closed',
  fan_outs_of_all = HUB .. ':fan-outs',
  fanning = HUB .. ':fanning',
  expiring = HUB .. ':expiring',
  delivery_expiries = HUB .. ':delivery-expiries',
  tenants = HUB .. ':tenants',
  changes = HUB .. ':changes',
}
function key.event(id) return HUB .. ':e:' .. id end
function key.state(id) return HUB .. ':s:' .. id end
function key.deliveries_of(event) return HUB .. ':o:' .. event end
function key.delivery(id) return HUB .. ':d:' .. id end
function key.attempts_of(delivery) return HUB .. ':a:' .. delivery end
function key.match(name) return HUB .. ':m:' .. name end
function key.fan_outs(tenant) return HUB .. ':fan-outs:' .. tenant end
function key.events(tenant) return HUB .. ':events:' .. tenant end
function key.subject(tenant, subject) return HUB .. ':subject:' .. tenant .. ':' .. redis.sha1hex(subject) end
function key.source(tenant, source, id) return HUB .. ':source:' .. tenant .. ':' .. redis.sha1hex(source .. '\0' .. id) end
function key.idempotency(tenant, digest) return HUB .. ':i:' .. tenant .. ':' .. digest end
function key.by_status(tenant, channel, status) return HUB .. ':status:' .. tenant .. ':' .. channel .. ':' .. status end
function key.by_lane(tenant, lane, status) return HUB .. ':lane:' .. tenant .. ':' .. lane .. ':' .. status end
function key.dead(tenant, channel) return HUB .. ':dead:' .. tenant .. ':' .. channel end
function key.attempts(tenant, channel, outcome) return HUB .. ':attempts:' .. tenant .. ':' .. channel .. ':' .. outcome end
function key.feed_blocks(tenant) return HUB .. ':feed-blocks:' .. tenant end
function key.channels(tenant) return HUB .. ':channels:' .. tenant end
function key.lanes(tenant) return HUB .. ':lanes:' .. tenant end
function key.call(process, kind) return HUB .. ':call:' .. process .. ':' .. kind end
function key.gate(lane) return HUB .. ':gate:' .. lane end
function key.under_way(lane) return HUB .. ':leases:' .. lane end
function key.ready(lane, class) return HUB .. ':ready:' .. lane .. ':' .. class end
function key.delayed(lane) return HUB .. ':delayed:' .. lane end
function key.task(id) return HUB .. ':task:' .. id end
function key.tasks(tenant) return HUB .. ':tasks:' .. tenant end
function key.lease(name) return HUB .. ':lease:' .. name end
function key.ticket(digest) return HUB .. ':ticket:' .. digest end
-- The idempotency record that a member of `expiring` names.
function key.expired(entry) return HUB .. ':i:' .. entry end

return key
