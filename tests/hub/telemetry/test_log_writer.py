"""Nobody who logs waits for the reader of the log, and no line is lost or mixed for one that reads."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from hub.telemetry.log_writer import LogWriter

Pipe = tuple[TextIO, TextIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        yield reader, writer


def test_what_is_read_comes_whole_and_in_order(pipe: Pipe) -> None:
    reader, stream = pipe
    writer = LogWriter(stream)
    for number in range(1_000):
        writer.write(f"line {number}")
    assert [reader.readline() for _ in range(1_000)] == [f"line {number}\n" for number in range(1_000)]
    writer.flush(60.0)
    assert writer.dropped == 0


def test_a_reader_that_stops_costs_lines_and_no_time_and_may_go_on(pipe: Pipe) -> None:
    reader, stream = pipe
    writer = LogWriter(stream, capacity=1_000_000)
    for _ in range(200):
        writer.write("x" * 9_998 + "\ny")
    assert writer.dropped > 0
    assert writer.dropped % 2 == 0
    kept = 400 - writer.dropped
    assert [len(reader.readline()) for _ in range(kept)] == [9_999, 2] * (kept // 2)
    writer.flush(60.0)
    writer.write("z")
    assert reader.readline() == "z\n"


def test_what_is_in_memory_or_in_a_file_is_written_at_once() -> None:
    stream = io.StringIO()
    LogWriter(stream).write("a\nb")
    assert stream.getvalue() == "a\nb\n"


def test_a_process_that_was_forked_writes_by_itself(pipe: Pipe) -> None:
    reader, stream = pipe
    writer = LogWriter(stream)
    writer.write("parent")
    assert reader.readline() == "parent\n"
    if (pid := os.fork()) == 0:
        writer.write("child")
        writer.flush(60.0)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert reader.readline() == "child\n"


PROGRAM = """
import structlog, sys
from hub.telemetry.log import configure
configure("info", "json")
for _ in range(int(sys.argv[1])):
    structlog.get_logger().info("x" * 1000)
"""


@pytest.mark.process
@pytest.mark.parametrize("lines", [3, 1_000])
def test_the_last_lines_are_written_and_a_reader_that_does_not_read_holds_up_no_end(lines: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(lines)], stderr=subprocess.PIPE) as process:
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read(1) == b"{"
