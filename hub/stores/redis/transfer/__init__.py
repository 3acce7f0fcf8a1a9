"""Reading everything out of Redis, and putting everything in."""

from hub.stores.redis.transfer.transfer import RedisTransfer

__all__ = ["RedisTransfer"]
