-- How far everything of another store was moved into this one: where each section's last piece ended.
CREATE TABLE transfer (
    section TEXT NOT NULL PRIMARY KEY,
    reached TEXT NOT NULL
) STRICT;
