-- Changes to the deliveries of an event that are made in steps, while they are under way.
CREATE TABLE event_changes (
    id TEXT NOT NULL PRIMARY KEY,
    requested_at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
