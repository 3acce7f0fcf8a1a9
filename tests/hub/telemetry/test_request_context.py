"""A request has one id, taken from its sender where that is harmless, and its log lines name it."""

import asyncio

import pytest
import structlog

from hub.telemetry.request_context import add_request, begin_request, current_request, identified, request_id


@pytest.mark.parametrize("offered", [b"a", b"trace 12/34", b"{7f3a}", b"x" * 128])
def test_a_printable_id_is_taken(offered: bytes) -> None:
    assert request_id(offered) == offered.decode()


@pytest.mark.parametrize(
    "offered",
    [None, b"", b" ", b" a", b"a ", b"x" * 129, b"a\tb", b"a\x00b", b"a\x7f", "é".encode(), b"whsec_abcdefgh"],
)
def test_any_other_is_replaced_by_a_new_one(offered: bytes | None) -> None:
    made = request_id(offered)
    assert made.startswith("req_")
    assert made != request_id(offered)


async def test_lines_name_the_request_and_its_key_also_from_tasks_that_it_starts() -> None:
    def line() -> object:
        return add_request(structlog.get_logger(), "info", {"event": "x"})

    async def answer() -> list[object]:
        begin_request(b"r-1")
        before = line()
        identified("acme", "key_1")
        return [before, line(), await asyncio.create_task(asyncio.to_thread(line))]

    named = {"event": "x", "request_id": "r-1", "key_id": "key_1"}
    assert await asyncio.create_task(answer()) == [{"event": "x", "request_id": "r-1"}, named, named]
    assert line() == {"event": "x"}
    assert current_request() is None


def test_outside_of_a_request_nobody_is_identified() -> None:
    identified("acme", "key_1")
    assert current_request() is None
