-- Stream tickets by the hash of their text, over restarts: an EventSource comes back with the one it was opened with.
CREATE TABLE tickets (
    digest TEXT NOT NULL PRIMARY KEY,
    kept TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
