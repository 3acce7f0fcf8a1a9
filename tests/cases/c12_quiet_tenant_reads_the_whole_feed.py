"""Redis: a listener of a quiet tenant that resumes far back makes the process read every other tenant's entries. SQLite has an index for it."""

import asyncio
import time

from hub.clock import SystemClock
from hub.stores import open_store
from tests.cases.scene import redis_server, verdict

N = 60_000


async def main():
    with redis_server(appendfsync="no") as (url, port):
        clock = SystemClock()
        async with open_store(url, clock) as A:
            filler = b'{"x":"' + b"a" * 400 + b'"}'
            from hub.models import FeedEntry, FeedKind

            for i in range(N // 500):
                await A.records.write([], [FeedEntry("loud", FeedKind.EVENT_ACCEPTED, filler, "t", "e")] * 500)
            await A.records.write([], [FeedEntry("quiet", FeedKind.EVENT_ACCEPTED, filler, "t", "e")])
            import redis

            R = redis.Redis(port=port)
            before = R.info("stats")["total_net_output_bytes"]
            rt = A.feed._engine.round_trips
            t = time.time()
            rows = await A.feed.read(0, 500, "quiet")
            t = time.time() - t
            out = (R.info("stats")["total_net_output_bytes"] - before) / 1e6
            verdict(
                "c12",
                t < 0.1,
                f"{N} entries of another tenant: ONE page for the quiet tenant: {len(rows)} row(s), {t:.2f} s, {A.feed._engine.round_trips - rt} round trips, {out:.0f} MB over the wire (HUB_FEED_KEEP is 1,000,000: x{1e6 / N:.0f})",
            )


asyncio.run(main())
