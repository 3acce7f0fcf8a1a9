"""The database file: opening it, the thread that writes, the threads that read, and SQLite's errors."""
