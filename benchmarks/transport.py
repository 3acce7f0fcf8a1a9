"""Processor time of one request through the client of all channels, beside other clients in the same run.

    python -m benchmarks.transport [--requests 5000] [--in-flight 50] [--rounds 5]

The receiver is a process of its own. The rounds alternate between the clients; the ratios are medians of pairs.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from itertools import count
from multiprocessing.connection import Connection
from statistics import median

import aiohttp
import httpx
import uvloop

from benchmarks.load import Receiver
from channels.http import deliver, open_client, parsed_url

BODY = b'{"type":"order.created","data":{"order_id":"o-1"}}'.ljust(500)
Send = Callable[[str, Mapping[str, str]], Awaitable[object]]


def receive(port: Connection) -> None:
    """Serve until the process is ended."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


@asynccontextmanager
async def channels_client() -> AsyncIterator[Send]:
    async with open_client([ip_network("127.0.0.0/8")]) as client:

        async def send(url: str, headers: Mapping[str, str]) -> object:
            return await deliver(client, httpx.Request("POST", parsed_url(url), headers=headers, content=BODY))

        yield send


@asynccontextmanager
async def aiohttp_client() -> AsyncIterator[Send]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def send(url: str, headers: Mapping[str, str]) -> object:
            async with session.post(url, headers=headers, data=BODY) as response:
                return await response.read()

        yield send


@asynccontextmanager
async def httpx_client() -> AsyncIterator[Send]:
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=None)) as client:

        async def send(url: str, headers: Mapping[str, str]) -> object:
            return await client.post(url, headers=headers, content=BODY)

        yield send


CLIENTS = {"the channels' client": channels_client, "aiohttp": aiohttp_client, "httpx": httpx_client}


async def cost(send: Send, url: str, requests: int, in_flight: int) -> float:
    """Microseconds of this process's CPU for each request."""
    numbers = count()

    async def sender() -> None:
        while (number := next(numbers)) < requests:
            await send(url, {"content-type": "application/json", "webhook-id": f"evt_{number}"})

    before = time.process_time()
    await asyncio.gather(*(sender() for _ in range(in_flight)))
    return (time.process_time() - before) / requests * 1e6


async def run(url: str, requests: int, in_flight: int, rounds: int) -> None:
    costs: dict[str, list[float]] = {name: [] for name in CLIENTS}
    for number in range(rounds + 1):
        for name, open_one in CLIENTS.items():
            # httpx alone takes some ten times as long, and a ratio needs no more of it.
            share = requests // 5 if name == "httpx" else requests
            async with open_one() as send:
                measured = await cost(send, url, share, in_flight)
            if number:  # the first round warms up
                costs[name].append(measured)
    ours = costs["the channels' client"]
    for name, theirs in costs.items():
        ratio = median(one / other for one, other in zip(theirs, ours, strict=True))
        print(f"{name:22} {median(theirs):7.0f} us CPU a request  x {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=receive, args=(there,), daemon=True)
    receiver.start()
    try:
        url = f"http://127.0.0.1:{here.recv()}/hooks"
        uvloop.run(run(url, options.requests, options.in_flight, options.rounds))
    finally:
        receiver.terminate()


if __name__ == "__main__":
    main()
