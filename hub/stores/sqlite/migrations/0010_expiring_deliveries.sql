-- When the event of a delivery expires, so that one that is held ends then as well.
ALTER TABLE deliveries ADD COLUMN expires_at INTEGER;
UPDATE deliveries SET expires_at = (SELECT expires_at FROM events WHERE events.seq = event_seq)
    WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;
