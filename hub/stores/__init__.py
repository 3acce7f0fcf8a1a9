"""Stores, chosen by the scheme of a URL."""

import pkgutil
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

from hub.clock import Clock
from hub.errors import HubError
from hub.stores.base import Store
from hub.stores.options import StoreOptions

__all__ = ["OPENERS", "StoreOptions", "open_store"]

Opener = Callable[[str, Clock, StoreOptions], AbstractAsyncContextManager[Store]]
"""Opens the store at a URL."""

OPENERS: Final[Mapping[str, str]] = {
    "sqlite": "hub.stores.sqlite:open_sqlite",
    **dict.fromkeys(("redis", "rediss", "redis+sentinel", "redis+cluster"), "hub.stores.redis:open_redis"),
}
"""The opener's name by scheme. It is imported when it is used, because each store's libraries cost time and memory."""
_NO_OPTIONS: Final = StoreOptions()


def open_store(url: str, clock: Clock, options: StoreOptions = _NO_OPTIONS) -> AbstractAsyncContextManager[Store]:
    """The store at `url`: `sqlite:///relative/path`, `sqlite:////absolute/path`, or one of the addresses that
    `hub.stores.redis.client.url` names. Raises `HubError` on entering when it cannot be used, saying what to do.

    Example:

        from hub.clock import SystemClock

        async with open_store("sqlite:///var/hub.db", SystemClock()) as store:
            trimmed, last = await store.feed.bounds()
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in OPENERS:
        raise HubError(
            "The address of a store, such as HUB_STORE_URL, must start with one of:"
            f" {', '.join(map('{}://'.format, OPENERS))}"
        )
    opener: Opener = pkgutil.resolve_name(OPENERS[scheme])
    return opener(url, clock, options)
