-- What goes first in a lane, as a number: 0 live, 1 retry, 2 replay. It takes the place of `is_retry`.
DROP INDEX deliveries_due;
ALTER TABLE deliveries DROP COLUMN is_retry;
ALTER TABLE deliveries ADD COLUMN class INTEGER NOT NULL
    AS (CASE WHEN cause = 'replay' THEN 2 WHEN attempt_count > 0 THEN 1 ELSE 0 END) VIRTUAL;
CREATE INDEX deliveries_due ON deliveries (subscription_id, class, appointed, due_at) WHERE status = 'pending';
