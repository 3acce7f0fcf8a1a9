-- What a channel has done of a delivery so far, for its next attempt.
ALTER TABLE deliveries ADD COLUMN checkpoint TEXT;
