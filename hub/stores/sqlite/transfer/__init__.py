"""Reading everything out of SQLite, and putting everything in."""

from hub.stores.sqlite.transfer.transfer import SqliteTransfer

__all__ = ["SqliteTransfer"]
