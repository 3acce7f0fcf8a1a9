-- Instants are integer milliseconds since 1970 UTC. JSON is kept as the text that was received.

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    type TEXT NOT NULL,
    source TEXT NOT NULL,
    source_id TEXT,
    subject TEXT,
    time INTEGER NOT NULL,
    data TEXT NOT NULL,
    content_type TEXT,
    data_base64 INTEGER NOT NULL,
    extensions TEXT,
    ordering_key TEXT,
    deliver_at INTEGER,
    expires_at INTEGER,
    traceparent TEXT,
    accepted_at INTEGER NOT NULL,
    cancelled_at INTEGER,
    fan_out_after TEXT
) STRICT;
CREATE UNIQUE INDEX events_by_source ON events (tenant, source, source_id) WHERE source_id IS NOT NULL;
CREATE INDEX events_by_time ON events (tenant, accepted_at);
CREATE INDEX events_by_subject ON events (tenant, subject, accepted_at) WHERE subject IS NOT NULL;
CREATE INDEX events_fanning_out ON events (seq) WHERE fan_out_after IS NOT NULL;

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    event_seq INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    event_type TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'delivered', 'dead', 'cancelled')),
    reason TEXT,
    attempt_count INTEGER NOT NULL DEFAULT 0,
    schedule_base INTEGER NOT NULL DEFAULT 0,
    token INTEGER NOT NULL DEFAULT 0,
    cause TEXT NOT NULL DEFAULT 'automatic',
    due_at INTEGER,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    is_retry INTEGER NOT NULL AS (attempt_count > 0 AND cause = 'automatic') VIRTUAL
) STRICT;
CREATE UNIQUE INDEX deliveries_by_event ON deliveries (event_seq, subscription_id);
CREATE INDEX deliveries_by_time ON deliveries (tenant, created_at);
CREATE INDEX deliveries_by_subscription ON deliveries (subscription_id, created_at);
-- The lanes: claims read nothing but what is pending.
CREATE INDEX deliveries_due ON deliveries (subscription_id, is_retry, due_at) WHERE status = 'pending';
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE status = 'sending';
-- Lists and numbers of what waits and what failed, without reading what was delivered.
CREATE INDEX deliveries_open ON deliveries (tenant, status, created_at, channel, updated_at)
    WHERE status = 'pending' OR status = 'dead';

CREATE TABLE attempts (
    delivery_seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    channel TEXT NOT NULL,
    cause TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    duration_ms INTEGER,
    outcome TEXT NOT NULL,
    status_code INTEGER,
    error TEXT,
    response_body TEXT,
    PRIMARY KEY (delivery_seq, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_time ON attempts (tenant, channel, started_at, outcome, duration_ms);

CREATE TABLE idempotency (
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    verdicts TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- AUTOINCREMENT, so that an id is never given twice, even when every entry was trimmed.
CREATE TABLE feed (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    event_type TEXT,
    event_id TEXT,
    subscription_id TEXT,
    status TEXT,
    written_at INTEGER NOT NULL
) STRICT;
CREATE INDEX feed_by_tenant ON feed (tenant);

-- Deleted records stay as rows without a doc, so that those who read changes hear of it.
CREATE TABLE records (
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    doc TEXT,
    version INTEGER NOT NULL,
    PRIMARY KEY (kind, tenant, id)
) STRICT;
CREATE INDEX records_by_version ON records (version);

CREATE TABLE tasks (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    doc TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tasks_by_time ON tasks (tenant, created_at, id);
