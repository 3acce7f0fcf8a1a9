"""A program that accepts events as fast as it can and prints the id of each one that was acknowledged.

Arguments: the store's URL, and failpoints as `HUB_FAILPOINTS` has them.
"""

import asyncio
import sys

from hub.clock import SystemClock
from hub.failpoints import failpoints
from hub.stores import StoreOptions, open_store
from hub.testing.stores.samples import batch, entry, event


async def main(url: str, points: str) -> None:
    async with open_store(url, SystemClock(), StoreOptions(failpoints(points))) as store:

        async def publish() -> None:
            while True:
                new = event(source_id=None)
                await store.intake.accept(batch(entry(new, ["sub_1"])))
                sys.stdout.write(new.id + "\n")
                sys.stdout.flush()

        await asyncio.gather(*(publish() for _ in range(16)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
