-- Which process does the work of a task.
ALTER TABLE tasks ADD COLUMN owner TEXT NOT NULL DEFAULT '';
