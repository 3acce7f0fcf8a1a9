"""What a conforming client makes of the bytes of a stream, written from the standard (WHATWG HTML, 9.2.6).

It is stricter than the standard in one respect: a blank line has to end a block that has data, because clients exist
that make an event of every blank line.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self

from hub.testing.patience import patience


@dataclass(frozen=True)
class Heard:
    id: str
    name: str
    data: str


@dataclass
class Parser:
    """An `EventSource` without a network. It is asked for every event but `cursor`, so that is not heard."""

    cursor: str = ""
    retry: int | None = None
    comments: list[str] = field(default_factory=list)
    _rest: bytes = b""
    _fields: list[tuple[str, str]] = field(default_factory=list)

    def feed(self, chunk: bytes) -> list[Heard]:
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        return [event for line in lines for event in self._line(line.decode())]

    def _line(self, line: str) -> list[Heard]:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self.comments.append(value)
        elif name == "retry":
            self.retry = int(value)
        else:
            self._fields.append((name, value))
        return []

    def _dispatch(self) -> list[Heard]:
        fields, self._fields = self._fields, []
        for name, value in fields:
            if name == "id":
                assert int(value) >= int(self.cursor or 0), "a cursor never goes back"
                self.cursor = value
        data = [value for name, value in fields if name == "data"]
        names = [value for name, value in fields if name == "event"]
        assert data, "a client that makes an event of every blank line would hear nothing in this one"
        heard = Heard(self.cursor, names[-1] if names else "message", "\n".join(data))
        if heard.name == "cursor":
            assert json.loads(heard.data) == {}
            return []
        return [heard]


class Ear:
    """Follows a stream in a task of its own."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.parser = Parser()
        self.events: list[Heard] = []
        self.chunks: list[bytes] = []
        self._stream = chunks
        self._grown = asyncio.Condition()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for chunk in self._stream:
            assert chunk
            async with self._grown:
                self.chunks.append(chunk)
                self.events += self.parser.feed(chunk)
                self._grown.notify_all()

    @property
    def ids(self) -> list[int]:
        return [int(event.id) for event in self.events]

    @property
    def ended(self) -> bool:
        return self._task.done()

    async def until(self, holds: Callable[["Ear"], bool]) -> Self:
        """As soon as it holds; asked again at every chunk."""
        async with patience(), self._grown:
            await self._grown.wait_for(lambda: holds(self))
        return self

    async def reaches(self, count: int) -> list[Heard]:
        """The events so far, as soon as there are `count` or more."""
        return (await self.until(lambda ear: len(ear.events) >= count)).events

    async def hears(self, count: int) -> list[Heard]:
        """The events so far, as soon as there are `count`; fails when there are more."""
        assert len(await self.reaches(count)) == count
        return self.events

    async def opens(self) -> Self:
        """As soon as anything came."""
        return await self.until(lambda ear: bool(ear.chunks))

    async def ends(self) -> Self:
        """As soon as the stream ended."""
        async with patience():
            await self._task
        return self

    async def leaves(self) -> None:
        """Hang up, as a client does."""
        self._task.cancel()
        await asyncio.wait([self._task])
