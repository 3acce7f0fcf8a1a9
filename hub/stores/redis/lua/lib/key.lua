-- The keys of a hub, and what each holds.
--
-- Keys, each after the prefix, which is the hash tag of the whole hub (KEYS[1]):
--   e:<event>    string: the event as it was accepted, a msgpack array beginning with
--                tenant, type, subject, source, source_id, accepted_at
--   s:<event>    hash, the event's state:
--                at (accepted, ms), type, open (how many deliveries are pending or sending),
--                fan (the fan-out cursor, while there is one), cancelled (ms, once it is)
--   o:<event>    index of its deliveries
--   d:<delivery> hash: ten, evt, type, sub (its lane), chan, st (status), why (reason), n (attempts), base (schedule
--                base), tok (token), by (cause), due (ms), at (created, ms), upd (updated, ms); what is empty is absent.
--                Fields that are numbers are its short attempts, by number
--   a:<delivery> hash: its long attempts, by number. One value over 64 bytes would make any hash three times as big
--   meta         hash of counters: feed, trimmed (feed ids), signals, version (of the catalogue), leases (tokens given);
--                and of marks: format (STORE_FORMAT), written (the last call that wrote records), and those of loss.lua
--   feed         stream, ids <n>-0 without holes, but where a server lost some: at (ms), entry (msgpack)
--   signals      stream, ids <n>-0 without holes, the newest some ten thousand: due (msgpack map lane -> ms, 0 for now),
--                fans_out, catalogue
--   i:<tenant>:<digest>  an idempotency record, whose index is `expiring`
--   source:<tenant>:<digest>  string: the id of the event that came with this (source, source_id)
-- Indexes are sorted sets whose scores are all 0 and whose members are `<13 digits of milliseconds><id>`:
--   events:<tenant>, subject:<tenant>:<digest>, closed, fan-outs           by acceptance
--   status:<tenant>:<channel>:<status>, lane:<tenant>:<lane>:<status>      by creation; a delivery is in one of each
--   dead:<tenant>:<channel>                                                by last update
--   attempts:<tenant>:<channel>:<outcome>, members end in `:<number>:<duration in ms>`   by start
--   expiring                                                               by expiry, members end in `<tenant>:<digest>`
-- Sets: channels:<tenant> and lanes:<tenant>, what deliveries there are of; tenants, who ever published.

local HUB = KEYS[1]

local key = {
  due = HUB .. ':due',
  all_lanes = HUB .. ':lanes',
  lanes_under_way = HUB .. ':leases',
  reconciler = HUB .. ':reconciler',
  records = HUB .. ':records',
  record_versions = HUB .. ':record-versions',
  tasks_unfinished = HUB .. ':tasks-unfinished',
  tasks_ended = HUB .. ':tasks-ended',
  leases = HUB .. ':rights',
  schedules = HUB .. ':schedules',
  schedule_tokens = HUB .. ':schedule-tokens',
  transfer = HUB .. ':transfer',
  meta = HUB .. ':meta',
  feed = HUB .. ':feed',
  signals = HUB .. ':signals',
  closed = HUB .. ':closed',
  fan_outs = HUB .. ':fan-outs',
  expiring = HUB .. ':expiring',
  tenants = HUB .. ':tenants',
}
function key.event(id) return HUB .. ':e:' .. id end
function key.state(id) return HUB .. ':s:' .. id end
function key.deliveries_of(event) return HUB .. ':o:' .. event end
function key.delivery(id) return HUB .. ':d:' .. id end
function key.attempts_of(delivery) return HUB .. ':a:' .. delivery end
function key.events(tenant) return HUB .. ':events:' .. tenant end
function key.subject(tenant, subject) return HUB .. ':subject:' .. tenant .. ':' .. redis.sha1hex(subject) end
function key.source(tenant, source, id) return HUB .. ':source:' .. tenant .. ':' .. redis.sha1hex(source .. '\0' .. id) end
function key.idempotency(tenant, digest) return HUB .. ':i:' .. tenant .. ':' .. digest end
function key.by_status(tenant, channel, status) return HUB .. ':status:' .. tenant .. ':' .. channel .. ':' .. status end
function key.by_lane(tenant, lane, status) return HUB .. ':lane:' .. tenant .. ':' .. lane .. ':' .. status end
function key.dead(tenant, channel) return HUB .. ':dead:' .. tenant .. ':' .. channel end
function key.attempts(tenant, channel, outcome) return HUB .. ':attempts:' .. tenant .. ':' .. channel .. ':' .. outcome end
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
