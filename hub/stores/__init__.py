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
"""Takes the URL."""

OPENERS: Final[Mapping[str, str]] = {
    "sqlite": "hub.stores.sqlite:open_sqlite",
    **dict.fromkeys(("redis", "rediss", "redis+sentinel", "redis+cluster"), "hub.stores.redis:open_redis"),
}
"""By scheme, the name of what opens the store: the libraries of one that is not used cost time and memory."""
_NO_OPTIONS: Final = StoreOptions()


def open_store(url: str, clock: Clock, options: StoreOptions = _NO_OPTIONS) -> AbstractAsyncContextManager[Store]:
    """The store at `url`: `sqlite:///relative/path`, `sqlite:////absolute/path`, or one of the addresses that
    `hub.stores.redis.client.url` names. Raises `HubError` on entering when it cannot be used, saying what to do.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in OPENERS:
        raise HubError(
            f"No store is known by this address; it starts with one of: {', '.join(map('{}://'.format, OPENERS))}"
        )
    opener: Opener = pkgutil.resolve_name(OPENERS[scheme])
    return opener(url, clock, options)
