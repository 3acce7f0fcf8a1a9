"""Writes what a release keeps for the releases after it: a SQLite file, a Redis dump, and what is answered over them.

Run as `python -m tests.releases.write`, from a checkout of the release; see README.md here.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import apsw
import httpx
import orjson

from hub.testing.receivers import Receiver
from tests.api_support import ADMIN_KEY
from tests.e2e.tenant import Tenant
from tests.faults.hub_process import HubProcess
from tests.redis_servers import REDIS_7
from tests.releases import contents
from tests.releases.answers import LAST_TYPE, Answers, differences, feed, operator_answers, tenant_answers
from tests.releases.contents import FAR, PATIENCE_SECONDS, SIGNING_SECRET, Behaviour, Written, eventually, run_schedule
from tests.releases.opening import DATABASE, DUMP, PREFIX, SECRET_KEY, Served, redis_with, served, sqlite_url
from tests.smtp import MailServer

HERE = Path(__file__).parent
TEMP_FILES = 20_000
"""So many that removing them takes longer than killing the hub."""
FAN_OUT = 5
CHUNK = 2
_CODE = (
    "import sys, runpy, hub.publishing.fanout; hub.publishing.fanout.CHUNK = {}; del sys.argv[0];"
    " runpy.run_path(sys.argv[0], None, {!r})"
)
SMALL_CHUNKS = (sys.executable, "-c", _CODE.format(CHUNK, "__main__"))
"""Runs a hub that expands few deliveries at a time; with the usual number the data would be ten times as big."""

OpenCopy = Callable[[str], AbstractAsyncContextManager[Served]]
"""Opens a copy, by name, of what was written."""


class Release:
    """One hub over one store, from its first start to its end by SIGKILL."""

    def __init__(self, directory: Path, settings: Mapping[str, str], receiver: Receiver) -> None:
        self._hub = HubProcess(directory, settings)
        self._tmp = directory / "data" / "tmp"
        self._receiver = receiver
        self._written: Written = {"since": contents.now()}
        self._live: Answers = {}

    async def write(self) -> tuple[Written, Answers]:
        """What the test must know of the data, and what was answered before the last start."""
        try:
            await self._first_life()
            await self._second_life()
            await self._last_life()
        finally:
            await self._hub.kill()
        return {**self._written, "written_at": contents.now()}, self._live

    async def _first_life(self) -> None:
        """Stores everything; killed while it sends, and while it works on a task."""
        await self._hub.start()
        async with self._hub.client(ADMIN_KEY) as operator:
            self._written["keys"] = await contents.issue_keys(operator)
            for schedule in ("temp-files", "retention", "feed-trim", "expired-records"):
                await run_schedule(operator, schedule, until_done=True)
            async with self._tenant("acme") as acme:
                await self._fill(acme)
            self._leave_temp_files()
            await run_schedule(operator, "temp-files")
        await self._hub.kill()

    async def _fill(self, acme: Tenant) -> None:
        await contents.register_event_types(acme)
        subscriptions = await contents.subscribe(acme, self._receiver.url)
        await contents.publish_native(acme)
        waiting = await contents.publish_waiting(acme, subscriptions["signed"])
        cloud_event, cloud_id = await contents.publish_cloud_events(acme)
        self._written |= {
            "waiting": waiting,
            "natural": [
                {"media": "application/json", "body": waiting["body"], "id": waiting["event"]},
                {"media": "application/cloudevents+json", "body": cloud_event, "id": cloud_id},
            ],
            "idempotent": await contents.publish_with_keys(acme, waiting["body"]),
            "unknown": await acme.publish("stock.slow", {"sku": "A-1"}),
        }
        await acme.call("POST", "/v1/stream-tickets")
        await self._arrived("/slow")

    async def _second_life(self) -> None:
        """Finds what the first one left, and ends by itself."""
        await self._hub.start()
        async with self._hub.client(ADMIN_KEY) as operator, self._tenant("acme") as acme:
            unknown = await acme.delivery(self._written["unknown"])
            assert [attempt["outcome"] for attempt in unknown["attempts"]] == ["unknown", "succeeded"], unknown
            await eventually(lambda: _has_failed_task(operator))
            self._leave_temp_files()
            task = await run_schedule(operator, "temp-files")
            (await operator.post(f"/v1/tasks/{task}/cancel")).raise_for_status()
            await acme.publish(LAST_TYPE, None)
            self._live = await tenant_answers(acme.api, self._written["since"])
        await self._hub.stop()

    async def _last_life(self) -> None:
        """Killed when half of a fan-out is done, and an attempt and a task are under way."""
        self._hub.own = {"fanout_inline_max": str(CHUNK)}
        await self._hub.start(failpoints="before_expand:kill:2", wrapper=SMALL_CHUNKS)
        async with self._tenant("torn") as torn:
            target = {"url": f"{self._receiver.url}/torn", "secret": SIGNING_SECRET}
            subscription = await torn.subscribe("webhook", target, event_types=["torn.sending"], timeout=30.0)
            fanned = [await torn.subscribe("file", {"name": "fan"}, event_types=["torn.fan"]) for _ in range(FAN_OUT)]
            self._leave_temp_files()
            sending = await torn.publish("torn.sending", {"n": 1})
            await self._arrived("/torn")
            # So that the attempt is found interrupted when this is opened, and is not made again at once.
            await torn.call("POST", f"/v1/subscriptions/{subscription}/disable")
            task = await run_schedule(torn.api, "temp-files")
            fan = await torn.publish("torn.fan", {"n": 2}, deliver_at=FAR)
            await self._hub.ended(PATIENCE_SECONDS)
        self._written["torn"] = {
            "subscription": subscription,
            "sending": sending,
            "fanned": sorted(fanned),
            "task": task,
            "fan": fan,
        }

    @asynccontextmanager
    async def _tenant(self, name: str) -> AsyncIterator[Tenant]:
        async with self._hub.client(self._written["keys"][name]) as api:
            yield Tenant(api, name)

    async def _arrived(self, path: str) -> None:
        async def there() -> bool:
            return any(arrival.path == path for arrival in self._receiver.requests)

        await eventually(there)

    def _leave_temp_files(self) -> None:
        self._tmp.mkdir(exist_ok=True)
        for number in range(TEMP_FILES):
            (self._tmp / f"{number}").touch()


async def _has_failed_task(operator: httpx.AsyncClient) -> bool:
    return any(task["status"] == "failed" for task in (await operator.get("/v1/tasks")).json()["items"])


# -- what is answered over it ----------------------------------------------------------------------------------------


async def _completed(written: Written, live: Answers, open_copy: OpenCopy) -> Written:
    """Add what this very code answers over copies of what was written, as the code of later releases has to."""
    async with open_copy("first") as hub:
        expected = {**written, **await _answered(hub, written)}
        first = await _taken_up(hub, written)
    async with open_copy("second") as hub:
        second = await _taken_up(hub, written)
    # What is the same in two copies was stored before, and what is not was made when each of them was opened.
    expected["torn"] = {**written["torn"], "expanded": sorted(first & second)}
    assert len(first & second) == CHUNK, "the fan-out was not killed half-way: write it again"
    lost = differences(_without_ages(live), expected["answers"]["acme"])
    assert not lost, "\n".join(lost)
    return expected


async def _answered(hub: Served, written: Written) -> Written:
    async with hub.client() as operator, hub.client(written["keys"]["acme"]) as acme:
        first = (await acme.get("/v1/deliveries?limit=2")).json()
        second = f"/v1/deliveries?limit=2&cursor={first['next_cursor']}"
        return {
            "answers": {
                "operator": await operator_answers(operator),
                "acme": await tenant_answers(acme, written["since"]),
            },
            "feed": await feed(acme),
            "page": {"path": second, "ids": [item["id"] for item in (await acme.get(second)).json()["items"]]},
        }


async def _taken_up(hub: Served, written: Written) -> set[str]:
    """The deliveries of the fan-out, once there are all of them."""
    found: set[str] = set()
    async with hub.client(written["keys"]["torn"]) as api:
        torn = Tenant(api, "torn")
        (sending,) = await torn.deliveries(written["torn"]["sending"])
        outcomes = [attempt["outcome"] for attempt in sending["attempts"]]
        assert outcomes == ["unknown"], "the attempt was not killed on its way: write it again"

        async def all_there() -> bool:
            answer = await torn.call("GET", f"/v1/events/{written['torn']['fan']}/deliveries")
            found.update(item["id"] for item in answer["items"])
            return len(found) == FAN_OUT

        await eventually(all_there)
    return found


def _without_ages(answers: Answers) -> Answers:
    """What does not change with the time of asking."""
    return {path: answer for path, answer in answers.items() if not path.startswith("/v1/stats")}


# -- the stores ------------------------------------------------------------------------------------------------------


async def _write_sqlite(directory: Path, settings: Mapping[str, str], receiver: Receiver, place: Path) -> Written:
    written, live = await Release(directory, settings, receiver).write()
    database = directory / "data" / DATABASE
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    shutil.copyfile(database, place / DATABASE)

    def open_copy(name: str) -> AbstractAsyncContextManager[Served]:
        return served(sqlite_url(database, directory / name), directory / name, written["written_at"])

    return await _completed(written, live, open_copy)


async def _write_redis(directory: Path, settings: Mapping[str, str], receiver: Receiver, place: Path) -> Written:
    """On Debian's Redis, because older servers cannot load what newer ones save."""
    with redis_with(None, REDIS_7, directory / "server") as server:
        written, live = await Release(directory, {**settings, "store_url": server.url(PREFIX)}, receiver).write()
        server.ask("SAVE")
    shutil.copyfile(directory / "server" / DUMP, place / DUMP)
    with ExitStack() as servers:

        def open_copy(name: str) -> AbstractAsyncContextManager[Served]:
            copy = servers.enter_context(redis_with(place / DUMP, REDIS_7, directory / name))
            return served(copy.url(PREFIX), directory / name, written["written_at"])

        return await _completed(written, live, open_copy)


async def main() -> None:
    place = HERE / version("notification-hub")
    place.mkdir()
    settings = {"admin_key": ADMIN_KEY, "secret_key": SECRET_KEY, "lease": "2", "temp_retention": "0.001"}
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        for store, write in {"sqlite": _write_sqlite, "redis": _write_redis}.items():
            directory = Path(scratch) / store
            directory.mkdir()
            async with Receiver(Behaviour()) as receiver, MailServer() as mail:
                expected[store] = await write(directory, {**settings, "smtp_url": mail.url}, receiver, place)
    (place / "expected.json").write_bytes(orjson.dumps(expected, option=orjson.OPT_SORT_KEYS))


if __name__ == "__main__":
    asyncio.run(main())
