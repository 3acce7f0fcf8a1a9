-- Of deliveries that are appointed, `due_at` is an instant that a publisher gave, and the time of day decides. All other
-- waits go by the store's own time, which no change of the time of day moves.
ALTER TABLE deliveries ADD COLUMN appointed INTEGER NOT NULL DEFAULT 0;
UPDATE deliveries SET appointed = 1 WHERE status = 'pending' AND attempt_count = 0 AND due_at > created_at
    AND (SELECT deliver_at FROM events WHERE seq = event_seq) IS NOT NULL;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (subscription_id, is_retry, appointed, due_at) WHERE status = 'pending';
CREATE INDEX deliveries_appointed ON deliveries (due_at) WHERE status = 'pending' AND appointed = 1;
-- What was seen of clocks last, as JSON: one row.
CREATE TABLE clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL
) STRICT;
