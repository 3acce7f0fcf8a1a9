-- Whom the events are for whose deliveries are not all made yet, as JSON of pairs of subscription and channel. Events that
-- were accepted together may share one.
CREATE TABLE matches (
    name TEXT NOT NULL PRIMARY KEY,
    recipients TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- The events with a fan-out cursor, by tenant, so that tenants are served in turn. Without `match`, they are for the
-- subscriptions that match them when they are expanded.
CREATE TABLE fan_outs (
    tenant TEXT NOT NULL,
    event_seq INTEGER NOT NULL,
    match TEXT,
    PRIMARY KEY (tenant, event_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX fan_outs_by_match ON fan_outs (match) WHERE match IS NOT NULL;
INSERT INTO fan_outs (tenant, event_seq) SELECT tenant, seq FROM events WHERE fan_out_after IS NOT NULL;
DROP INDEX events_fanning_out;
