-- How many steps of its retry schedule the attempts of a delivery have not used up.
ALTER TABLE deliveries ADD COLUMN steps_spared REAL NOT NULL DEFAULT 0;
