"""A load generator and a receiver that cost little, so that what is measured is the hub."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Answers:
    """How requests were answered: seconds each took, and statuses other than expected."""

    seconds: list[float] = field(default_factory=list)
    unexpected: list[int] = field(default_factory=list)
    elapsed: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed

    def quantile_ms(self, quantile: float) -> float:
        ordered = sorted(self.seconds)
        return 1_000 * ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


def post(path: str, body: bytes, key: str = "", content_type: str = "application/json") -> bytes:
    """A POST request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: hub\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    return head.encode() + b"\r\n" + body


class _Client(asyncio.Protocol):
    """One keep-alive connection with one request under way at a time."""

    def __init__(self, take: Callable[[], bytes | None], answers: Answers, expected: int) -> None:
        self._take = take
        self._answers = answers
        self._expected = expected
        self._read = b""
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        request = self._take()
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined] # is a transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._read[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._read) < end + 4 + length:
            return
        self._read = b""
        self._answers.seconds.append(time.perf_counter() - self._sent_at)
        if (status := int(head[9:12])) != self._expected:
            self._answers.unexpected.append(status)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed by the server"))


async def fire(port: int, requests: Sequence[bytes], *, clients: int, expected: int = 202) -> Answers:
    """Send all requests over `clients` connections, each of which waits for one answer before the next request."""
    answers, left = Answers(), iter(requests)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()

    def client() -> _Client:
        return _Client(lambda: next(left, None), answers, expected)

    protocols = [(await loop.create_connection(client, "127.0.0.1", port))[1] for _ in range(clients)]
    await asyncio.gather(*(protocol.done for protocol in protocols))
    answers.elapsed = time.perf_counter() - started
    return answers


class Receiver(asyncio.Protocol):
    """Answers every POST 200 after `delay` seconds, and counts."""

    received = 0
    ids: ClassVar[set[bytes]] = set()
    delay = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
            if len(self._read) < end + 4 + length:
                return
            self._read = self._read[end + 4 + length :]
            Receiver.received += 1
            Receiver.ids.add(head.split(b"webhook-id:", 1)[1].split(b"\r\n", 1)[0])
            asyncio.get_running_loop().call_later(Receiver.delay, self._answer)

    def _answer(self) -> None:
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # type: ignore[attr-defined] # is a transport


async def deliver(port: int, requests: list[bytes], clients: int, deliveries: int) -> tuple[Answers, float]:
    """Publish, and wait until all is delivered; gives the answers and deliveries per second from the first request."""
    Receiver.received = 0
    started = time.perf_counter()
    answers = await fire(port, requests, clients=clients)
    while Receiver.received < deliveries:
        await asyncio.sleep(0.01)
        if time.perf_counter() - started > 120:
            raise SystemExit(f"only {Receiver.received} of {deliveries} arrived")
    return answers, deliveries / (time.perf_counter() - started)
