"""What all classes of the conformance suite share: the fixtures, of which a store's author gives one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
import pytest_asyncio

from hub.stores.base import Store
from hub.testing.clock import ManualClock

StoreFactory = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens the store of one test, each time it is called.

The first call finds it empty. A call after the store was closed finds what was written, as after a restart of the hub.
A call while it is open is another process on the same data; only `SharedStoreConformance` makes such calls.
"""


class OpenStore:
    """A store that can be closed and opened again, as over a restart of the hub."""

    def __init__(self, factory: StoreFactory) -> None:
        self._factory = factory
        self._stack = AsyncExitStack()

    async def open(self) -> Store:
        """Open it, or open it once more beside what is open already."""
        return await self._stack.enter_async_context(self._factory())

    async def close(self) -> None:
        """Close all that is open."""
        await self._stack.aclose()

    async def reopen(self) -> Store:
        await self.close()
        return await self.open()


class StoreSuite:
    """The fixtures of the suite.

    A store's author gives one more, `open_store`, a `StoreFactory`; it may stand in the subclass, in its module or in a
    `conftest.py`. `clock` is the clock that the store is opened with; it stands still until a test moves it. `store` is
    the open store, and `opened` opens it as often as a test needs.
    """

    pytestmark = pytest.mark.asyncio(loop_scope="function")

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest_asyncio.fixture(loop_scope="function")
    async def opened(self, open_store: StoreFactory) -> AsyncIterator[OpenStore]:
        opened = OpenStore(open_store)
        yield opened
        await opened.close()

    @pytest_asyncio.fixture(loop_scope="function")
    async def store(self, opened: OpenStore) -> Store:
        return await opened.open()
