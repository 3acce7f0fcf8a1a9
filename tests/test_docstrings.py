"""Docstrings are true where they can be checked: their examples compile and run, and each help shows its defaults."""

import ast
import asyncio
import builtins
import importlib
import inspect
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from doctest import DocTestParser
from ipaddress import ip_network
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import orjson
import pytest
import typer.main
import uvicorn

from channels.base import Channel, ChannelContext, Receipt, SendFailed, SignedTarget, TargetModel
from channels.http import Guard, open_client
from hub.app import create_app
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types import BUILT_IN, Schema
from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.keys.service import Keyring
from hub.catalogue.patterns import PatternIndex
from hub.catalogue.sealing import Sealer
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions.filters import Filter
from hub.catalogue.subscriptions.service import Subscriptions
from hub.cli import app
from hub.cli.client import HubClient
from hub.clock import Clock, SystemClock
from hub.cluster.notifier import Notifier
from hub.dispatch.deliveries import Deliveries
from hub.dispatch.search import Search
from hub.ids import new_id
from hub.maintenance.housekeeping import Housekeeping
from hub.models import Event
from hub.publishing.event import parse_native
from hub.publishing.publisher import Publisher
from hub.publishing.rawjson import parse_object
from hub.rendering import Renderer
from hub.retry import next_wait
from hub.runtime import open_process
from hub.settings import Settings
from hub.stores import open_store
from hub.stores.base import Signal, Store
from hub.stores.group_commit import Backlog
from hub.stores.redis.client.group_commit import GroupCommit
from hub.stream import Broadcaster, StreamTickets
from hub.tasks import TaskRunner
from hub.telemetry.metrics import Metrics
from hub.testing.clock import START
from hub.testing.messages import message
from hub.testing.patience import patience
from hub.testing.receivers import Receiver
from schedules.timetable import Timetable
from tests.api_support import ADMIN_KEY, Api, open_api, settings_for

ROOT = Path(__file__).parents[1]
PACKAGES = ("hub", "channels", "schedules")
HEADING = "Example:"
SOURCE = b'{"type": "order.created", "data": {"order_id": "1001"}}'
AT_HAND = frozenset(
    re.findall(
        r"\w+",
        """
    attempt attempts catalogue channels claim clock compute data deliveries delivered delivery dispatcher engine event
    event_types files history housekeeping key keys leadership leases policy principal process_id publisher queue random
    runner schedule search sender serve_requests sources store subscription subscriptions tickets timing tracing
    """,
    )
)
"""What an example may use without saying where it comes from: the reader has one. The rest must exist."""


class Example(NamedTuple):
    module: str
    owner: str
    source: str

    def compiled(self) -> Any:
        """The code, in which an expression with a literal as its comment must have that value."""
        tree = ast.parse(self.source)
        lines = self.source.splitlines()
        for body in _bodies(tree):
            body[:] = [_expecting(node, lines[(node.end_lineno or 0) - 1]) for node in body]
        place = f"{self.module}:{self.owner}"
        return compile(ast.fix_missing_locations(tree), place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _bodies(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            yield body


def _expecting(node: ast.stmt, line: str) -> ast.stmt:
    comment = line.rpartition("  # ")[2]
    if not isinstance(node, ast.Expr) or comment == line:
        return node
    try:
        expected = ast.parse(comment.partition(": ")[0] if comment[0] in "FT" else comment, mode="eval").body
        ast.literal_eval(expected)
    except (SyntaxError, ValueError):
        return node
    check = ast.Compare(node.value, [ast.Eq()], [expected])
    return ast.copy_location(ast.Assert(check, ast.Constant(f"{line.strip()}")), node)


def example_in(docstring: str) -> str | None:
    """The code after the heading, without prompts and what they print; None where there is no example."""
    _, heading, after = docstring.partition(f"\n{HEADING}\n")
    if not heading:
        return None
    block = re.match(r"(?:[ \t]*\n|[ \t]+\S.*(?:\n|$))*", after)
    code = dedent(block[0] if block else "")
    prompted = DocTestParser().get_examples(code)
    return "".join(one.source for one in prompted) or code


def examples() -> Iterator[Example]:
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                source = example_in(ast.get_docstring(node) or "")
                if source is not None:
                    yield Example(module, getattr(node, "name", ""), source)


async def run(documented: Any, **given: Any) -> Mapping[str, Any]:
    """Run the example of a class or a function with what it has at hand; gives the names that it leaves."""
    source = example_in(inspect.getdoc(documented) or "")
    assert source is not None
    for old, new in given.pop("instead", {}).items():
        source = source.replace(old, new)
    example = Example(documented.__module__, documented.__name__, source)
    names = {**vars(importlib.import_module(example.module)), **given}
    running = eval(example.compiled(), names)
    if inspect.isawaitable(running):
        async with patience():
            await running
    return names


@pytest.fixture(autouse=True)
def _own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Examples with default settings keep everything in the directory of the test."""
    (tmp_path / "empty.toml").touch()
    monkeypatch.setenv("HUB_CONFIG", str(tmp_path / "empty.toml"))
    monkeypatch.delenv("HUB_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(settings_for(tmp_path)) as api:
        yield api


def the_event() -> Event:
    return parse_native(SOURCE).accepted(new_id("evt"), "default", START)


# -- all examples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", [*examples()], ids=lambda example: f"{example.module}.{example.owner}")
def test_an_example_compiles_and_uses_only_what_exists(example: Example) -> None:
    example.compiled()
    tree = ast.parse(example.source)
    known = {*vars(builtins), *vars(importlib.import_module(example.module)), *AT_HAND, *_bound(tree)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used - known == set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert [alias.name for alias in node.names if not _importable(str(node.module), alias.name)] == []


def _bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.alias(name=name):
                yield name.partition(".")[0]


def _importable(module: str, name: str) -> bool:
    return hasattr(importlib.import_module(module), name)


# -- those of public classes, run --------------------------------------------------------------------------------------


async def test_the_channel_of_the_example_sends(tmp_path: Path) -> None:
    names = await run(Channel)
    async with Receiver() as receiver, open_client([ip_network("127.0.0.0/8")]) as http:
        channel = names["MatrixChannel"](ChannelContext(http, tmp_path))
        receipt = await channel.send(
            message(content={"text": "order.created: orders/1001"}), names["MatrixTarget"](url=receiver.url)
        )
    assert receipt.status_code == 200
    assert receiver.requests[0].json() == {"body": "order.created: orders/1001"}


async def test_a_channel_is_constructed_as_its_context_says() -> None:
    assert (await run(ChannelContext))["channel"].context.options == {"file_keep": "3"}


async def test_the_client_publishes_and_reads(tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path))
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws="none", lifespan="off", log_config=None))
    async with app.router.lifespan_context(app), _started(server) as port:
        instead = {"http://127.0.0.1:8000": f"http://127.0.0.1:{port}"}
        names = await asyncio.to_thread(asyncio.run, run(HubClient, key=ADMIN_KEY, instead=instead))
        assert names["event"]["id"] == names["accepted"]["id"]


@asynccontextmanager
async def _started(server: uvicorn.Server) -> AsyncIterator[int]:
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def test_the_settings_are_those_of_the_example() -> None:
    assert (await run(Settings))["settings"].store_url == "sqlite:////var/lib/hub/hub.db"


async def test_the_clock_and_the_notifier_do_as_their_examples_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance((await run(Clock))["clock"], SystemClock)
    await run(Notifier)
    assert capsys.readouterr().out == f"{Signal({'sub_019ab3c1': None})}\n"


async def test_a_process_accepts_the_event_of_its_example() -> None:
    process = (await run(open_process, event=parse_native(b'{"type": "stock.low", "data": null}')))["process"]
    assert process.services is not None


async def test_a_publisher_accepts_the_event_of_its_example(api: Api) -> None:
    accepted = (await run(Publisher, publisher=api.services.publisher))["accepted"]
    assert accepted.verdicts[0].id.startswith("evt_")


async def test_the_catalogue_gives_the_subscriptions_of_its_example(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    await api.subscribe(name="the warehouse", event_types=["order.*"])
    await run(Catalogue, catalogue=api.process.core.catalogue)
    assert capsys.readouterr().out == "the warehouse\n"


async def test_the_jobs_of_the_timetable_and_of_housekeeping_run(api: Api) -> None:
    assert (await run(Timetable, clock=SystemClock()))["report"] == {"removed": 3}
    assert (await run(Housekeeping, housekeeping=api.services.housekeeping))["removed"]["complete"]


async def test_the_task_of_the_example_is_completed(api: Api) -> None:
    task = (await run(TaskRunner, runner=api.services.tasks))["task"]

    async def completed() -> bool:
        return (await api.services.tasks.task("default", task.id)).result == {"rows": 1_000}

    await api.until(completed)


async def test_the_renderer_renders_as_its_example_says() -> None:
    data = BUILT_IN["order.created"].example
    names = await run(Renderer, event=the_event(), data=data)
    content = names["renderer"].content("slack", the_event().seen(data), None)
    assert content["text"].startswith("New order 1001: ")


async def test_the_stream_of_the_example_has_what_is_published(api: Api) -> None:
    chunks: list[bytes] = []
    instead = {"...": "chunks.append(chunk); stream.close()"}
    await run(
        Broadcaster,
        store=api.store,
        catalogue=api.process.core.catalogue,
        clock=SystemClock(),
        chunks=chunks,
        instead=instead,
    )
    assert chunks[0].startswith(b"retry: ")


async def test_the_examples_of_services_run(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    services = api.services
    operator = services.keys.identify(ADMIN_KEY)
    await run(Store, store=api.store)
    await run(Keyring, keys=services.keys)
    await run(EventTypes, event_types=services.event_types)
    await run(Subscriptions, subscriptions=services.subscriptions, principal=operator)
    await run(Sources, sources=services.sources)
    await run(StreamTickets, tickets=services.tickets, principal=operator)
    event = await services.events.find("default", await api.publish(data={}))
    await run(Search, search=services.search)
    await run(Deliveries, deliveries=services.deliveries, event=event)
    assert capsys.readouterr().out.endswith("no pattern matches the type stock.low\n")


@pytest.mark.parametrize(
    "documented",
    [
        Receipt,
        SendFailed,
        TargetModel,
        SignedTarget,
        Guard,
        Schema,
        Filter,
        Sealer,
        Metrics,
        PatternIndex,
        next_wait,
        open_store,
        Backlog,
        GroupCommit,
    ],
    ids=lambda documented: documented.__name__,
)
async def test_an_example_that_needs_nothing_runs(documented: Any) -> None:
    await run(documented)


async def test_the_parser_keeps_the_bytes_as_its_example_says() -> None:
    names = await run(parse_object)
    assert names["members"]["data"] == orjson.loads(bytes(names["slices"]["data"]))


# -- the help of commands ----------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, ...]]:
    """The words of each command."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined] # the app is a group
        yield (name,)
        yield from ((name, inner) for inner in getattr(command, "commands", ()))


@pytest.mark.parametrize("words", [*commands()], ids=" ".join)
def test_the_help_of_a_command_shows_its_defaults(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    with pytest.raises(SystemExit):
        typer.main.get_command(app).main([*words, "--help"], prog_name="hub")
    shown = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    told = [found[0] for option in command.params for found in re.finditer(r"\[default: .*\]", option.help or "")]
    assert [default for default in told if default not in shown] == []
