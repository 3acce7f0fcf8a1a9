import asyncio
import errno
import fcntl
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple, Unpack

import orjson
import pytest
from pydantic import ValidationError

from channels.base import ChannelUnavailable, SendFailed
from channels.file import FileChannel, FileTarget
from hub.testing.messages import MESSAGE, message
from tests.channels.conftest import MakeContext

Args = TypeVarTuple("Args")
T = TypeVar("T")
TARGET = FileTarget(name="orders")


async def test_each_message_is_one_line(make_context: MakeContext, tmp_path: Path) -> None:
    channel = FileChannel(make_context())
    await channel.send(MESSAGE, TARGET)
    await channel.send(message(attempt=2, subject=None, data=b'{\r\n  "a": [\n1]\r}'), TARGET)
    first, second = (tmp_path / "files" / "acme" / "orders.jsonl").read_bytes().splitlines()
    assert orjson.loads(first) == {
        "event_id": MESSAGE.event_id,
        "delivery_id": MESSAGE.delivery_id,
        "attempt": 1,
        "type": "order.created",
        "source": "/shop",
        "subject": "orders/1001",
        "time": "2026-11-23T12:00:00Z",
        "written_at": "2026-11-23T12:00:00Z",
        "data": orjson.loads(MESSAGE.data),
    }
    assert MESSAGE.data in first
    assert (orjson.loads(second)["attempt"], orjson.loads(second)["data"]) == (2, {"a": [1]})


async def test_the_line_of_a_test_says_so(make_context: MakeContext, tmp_path: Path) -> None:
    await FileChannel(make_context()).send(message(test=True), TARGET)
    assert orjson.loads((tmp_path / "files" / "acme" / "orders.jsonl").read_bytes())["test"] is True


async def test_the_file_is_for_its_owner_alone(make_context: MakeContext, tmp_path: Path) -> None:
    await FileChannel(make_context()).send(MESSAGE, TARGET)
    assert (tmp_path / "files" / "acme").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "files" / "acme" / "orders.jsonl").stat().st_mode & 0o777 == 0o600


async def test_a_full_file_makes_room_and_the_oldest_go(make_context: MakeContext, tmp_path: Path) -> None:
    channel = FileChannel(make_context(file_max_bytes="1", file_keep="2"))
    for attempt in range(1, 6):
        await channel.send(message(attempt=attempt), TARGET)
    found = {path.name: orjson.loads(path.read_bytes())["attempt"] for path in (tmp_path / "files" / "acme").iterdir()}
    assert found == {"orders.jsonl": 5, "orders.1.jsonl": 4, "orders.2.jsonl": 3}


async def test_writers_at_once_lose_and_mix_nothing_while_files_rotate(
    make_context: MakeContext, tmp_path: Path
) -> None:
    context = make_context(file_max_bytes="4000", file_keep="100")
    channels = [FileChannel(context), FileChannel(context)]
    await asyncio.gather(*(channels[n % 2].send(message(attempt=n), TARGET) for n in range(200)))
    lines = [line for path in (tmp_path / "files" / "acme").iterdir() for line in path.read_bytes().splitlines()]
    assert sorted(orjson.loads(line)["attempt"] for line in lines) == list(range(200))
    assert len(list((tmp_path / "files" / "acme").iterdir())) > 5


@pytest.mark.parametrize("what", ["link", "dangling link", "pipe", "directory"])
async def test_nothing_is_written_through_what_is_no_file(make_context: MakeContext, tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    (tmp_path / "files" / "acme").mkdir(parents=True)
    path = tmp_path / "files" / "acme" / "orders.jsonl"
    match what:
        case "link":
            path.symlink_to(outside)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(path)
        case _:
            path.mkdir()
    with pytest.raises(SendFailed, match="cannot be written"):
        await FileChannel(make_context()).send(MESSAGE, TARGET)
    assert outside.read_bytes() == b""
    assert not (tmp_path / "nowhere").exists()


async def test_a_full_disk_leaves_no_half_line(
    make_context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = FileChannel(make_context())
    await channel.send(MESSAGE, TARGET)
    before = (tmp_path / "files" / "acme" / "orders.jsonl").read_bytes()
    write = os.write
    with monkeypatch.context() as short_of_room:
        short_of_room.setattr(os, "write", lambda file, line: write(file, line[:10]))
        with pytest.raises(SendFailed, match=os.strerror(errno.ENOSPC)) as caught:
            await channel.send(MESSAGE, TARGET)
    assert not caught.value.permanent
    assert (tmp_path / "files" / "acme" / "orders.jsonl").read_bytes() == before


async def test_a_line_is_on_disk_before_the_receipt(make_context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_mode))
    await FileChannel(make_context()).send(MESSAGE, TARGET)
    assert [stat.S_ISDIR(mode) for mode in synced] == [False, True]  # the file, and the directory that has just got it


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "/etc/passwd", "a.b", "A", "ü", "a\n", "a\x00", "-a", "a-", "_", "a" * 65]
)
def test_a_name_is_a_plain_slug(name: str) -> None:
    with pytest.raises(ValidationError):
        FileTarget(name=name)


@pytest.mark.parametrize(
    ("option", "wrong"), [("file_max_bytes", "0"), ("file_keep", "0"), ("file_keep", "many"), ("file_keep", "٣")]
)
def test_wrong_options_are_refused_at_the_start_by_name(make_context: MakeContext, option: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"HUB_{option.upper()}"):
        FileChannel(make_context(**{option: wrong}))


@pytest.mark.parametrize("error", [errno.EACCES, errno.EPERM, errno.EROFS])
async def test_what_the_hub_may_not_write_is_a_matter_of_the_operator(
    make_context: MakeContext, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*args: object, **kwargs: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ChannelUnavailable, match="cannot be written"):
        await FileChannel(make_context()).send(MESSAGE, TARGET)


class Threads:
    """Runs one call after another, and holds those up whose file hangs."""

    def __init__(self, hanging: str) -> None:
        self.hanging = hanging
        self.go_on = threading.Event()
        self.under_way: list[str] = []

    async def run(self, function: Callable[[Unpack[Args]], T], /, *args: *Args) -> T:
        named: tuple[Any, ...] = args
        self.under_way.append(named[1])
        if named[1] == self.hanging:
            await asyncio.to_thread(self.go_on.wait)
        return await asyncio.to_thread(function, *args)


async def test_a_file_that_hangs_takes_one_thread_and_holds_up_no_other_file(
    make_context: MakeContext, tmp_path: Path
) -> None:
    threads = Threads("hanging")
    channel = FileChannel(replace(make_context(), run_in_thread=threads.run))
    for _ in range(2):
        # The first has a thread when it is given up, and the second waits for that.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await channel.send(MESSAGE, FileTarget(name="hanging"))
    await channel.send(MESSAGE, TARGET)
    assert threads.under_way == ["hanging", "orders"]
    threads.go_on.set()
    await channel.send(MESSAGE, FileTarget(name="hanging"))
    assert len((tmp_path / "files" / "acme" / "hanging.jsonl").read_bytes().splitlines()) == 2


async def test_a_file_that_another_process_holds_holds_up_no_other_file(
    make_context: MakeContext, tmp_path: Path
) -> None:
    channel = FileChannel(make_context())
    await channel.send(MESSAGE, FileTarget(name="held"))
    with (tmp_path / "files" / "acme" / "held.jsonl").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = asyncio.create_task(channel.send(MESSAGE, FileTarget(name="held")))
        await channel.send(MESSAGE, TARGET)
        assert not waiting.done()
    await waiting
