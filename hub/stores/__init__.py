"""Stores, chosen by the scheme of a URL."""

from contextlib import AbstractAsyncContextManager

from hub.clock import Clock
from hub.errors import HubError
from hub.failpoints import Failpoint, failpoints
from hub.stores.base import Store
from hub.stores.sqlite import open_sqlite

__all__ = ["open_store"]

_INERT = failpoints("")
_SCHEMES = {"sqlite": open_sqlite}


def open_store(url: str, clock: Clock, *, failpoint: Failpoint = _INERT) -> AbstractAsyncContextManager[Store]:
    """The store at `url`: `sqlite:///relative/path` or `sqlite:////absolute/path`. Raises `HubError` on entering when
    it cannot be used, saying what to do.

    `failpoint` is called with `before_commit` and `after_commit` around each commit, for drills that crash there.
    """
    scheme, separator, address = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise HubError(
            f"No store is known by this address; it starts with one of: {', '.join(map('{}://'.format, _SCHEMES))}"
        )
    return _SCHEMES[scheme](address, clock, failpoint)
