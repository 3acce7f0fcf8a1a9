"""Stores, chosen by the scheme of a URL."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from hub.clock import Clock
from hub.errors import HubError
from hub.stores.base import Store
from hub.stores.options import StoreOptions
from hub.stores.redis import SCHEMES, open_redis
from hub.stores.sqlite import open_sqlite

__all__ = ["StoreOptions", "open_store"]

Opener = Callable[[str, Clock, StoreOptions], AbstractAsyncContextManager[Store]]
"""Takes what follows the scheme's `://` in the URL."""

_SCHEMES: Final[Mapping[str, Opener]] = {
    "sqlite": open_sqlite,
    **{scheme: partial(open_redis, scheme) for scheme in SCHEMES},
}
_NO_OPTIONS: Final = StoreOptions()


def open_store(url: str, clock: Clock, options: StoreOptions = _NO_OPTIONS) -> AbstractAsyncContextManager[Store]:
    """The store at `url`: `sqlite:///relative/path`, `sqlite:////absolute/path`, or one of the addresses that
    `hub.stores.redis.addresses` names. Raises `HubError` on entering when it cannot be used, saying what to do.
    """
    scheme, separator, address = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise HubError(
            f"No store is known by this address; it starts with one of: {', '.join(map('{}://'.format, _SCHEMES))}"
        )
    return _SCHEMES[scheme](address, clock, options)
