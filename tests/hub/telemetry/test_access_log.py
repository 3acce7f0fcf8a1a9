"""Each request is one line in the log and in the file; no request waits for it, and no value of the query is in it."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.telemetry.access_log import FILES_KEPT, Access, AccessLog
from hub.telemetry.log import configure
from hub.telemetry.request_context import RequestContext
from hub.testing.clock import ManualClock
from hub.testing.patience import PATIENCE_SECONDS
from tests.hub.telemetry.restored import restored_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with restored_logging():
        yield


CLOCK = ManualClock()


def access(request_id: str = "r-1", *, query: bytes = b"", is_probe: bool = False) -> Access:
    context = RequestContext(request_id, "key_1")
    return Access(CLOCK.monotonic(), context, "GET", "/v1/events", query, 200, 0.0125, "192.0.2.7", is_probe)


WRITER = """
import sys
from pathlib import Path
from hub.clock import SystemClock
from hub.telemetry.access_log import AccessLog
from hub.telemetry.log import configure
from tests.hub.telemetry.test_access_log import access

for batch in range(20):
    written = AccessLog(configure("error", "json"), Path(sys.argv[1]), SystemClock(), file_bytes=20_000)
    for number in range(10):
        written.record(access(f"{sys.argv[2]}-{batch}-{number}"))
    with written.running():
        pass
"""
"""Writes 20 times 10 lines."""


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_what_is_known_of_its_request(tmp_path: Path) -> None:
    stream, file = io.StringIO(), tmp_path / "logs" / "access.log"
    written = AccessLog(configure("info", "json", stream, role="web"), file, CLOCK)
    with written.running():
        written.record(access())
    event = {
        "timestamp": "2026-11-23T12:00:00.000Z",
        "event": "request.completed",
        "request_id": "r-1",
        "method": "GET",
        "route": "/v1/events",
        "status": 200,
        "duration_ms": 12.5,
        "key_id": "key_1",
        "client": "192.0.2.7",
        "role": "web",
        "level": "info",
        "logger": "hub.access",
    }
    assert lines(file.read_text()) == lines(stream.getvalue()) == [event]
    assert file.stat().st_mode & 0o777 == 0o600


def test_of_parameters_only_names_are_written_and_few_of_them() -> None:
    stream = io.StringIO()
    written = AccessLog(configure("info", "json", stream), None, CLOCK)
    many = b"".join(b"&p%d=v" % number for number in range(50))
    with written.running():
        written.record(access(query=b"ticket=s3cret&type=s3cret&ticket=s3cret&whsec_s3cret" + many))
        written.record(access(query=b"&".join([b"p=s3cret"] * 1_000)))
    assert "s3cret" not in stream.getvalue()
    first, second = lines(stream.getvalue())
    assert first["parameters"][:3] == ["ticket", "type", "[redacted]"]
    assert len(first["parameters"]) == 20
    assert second["parameters"] == []


@pytest.mark.parametrize(("level", "shown"), [("debug", ["r", "p"]), ("info", ["r"]), ("warning", [])])
def test_probes_are_shown_at_debug_and_the_file_has_all(level: str, shown: list[str], tmp_path: Path) -> None:
    stream, file = io.StringIO(), tmp_path / "access.log"
    written = AccessLog(configure(level, "json", stream), file, CLOCK)
    with written.running():
        written.record(access("r"))
        written.record(access("p", is_probe=True))
    assert [line["request_id"] for line in lines(stream.getvalue())] == shown
    assert [line["request_id"] for line in lines(file.read_text())] == ["r", "p"]


def test_on_a_terminal_lines_are_text() -> None:
    stream = io.StringIO()
    written = AccessLog(configure("info", "console", stream), None, CLOCK)
    with written.running():
        written.record(access())
    (line,) = stream.getvalue().splitlines()
    assert "request.completed" in line
    assert "route=/v1/events" in line


def test_what_finds_no_room_is_counted_and_dropped() -> None:
    stream = io.StringIO()
    written = AccessLog(configure("info", "json", stream), None, CLOCK, capacity=2)
    for number in range(5):
        written.record(access(f"r-{number}"))
    with written.running():
        pass
    first, second, dropped = lines(stream.getvalue())
    assert [first["request_id"], second["request_id"]] == ["r-0", "r-1"]
    assert (dropped["event"], dropped["level"], dropped["lines"]) == ("access_log.dropped", "warning", 3)


def test_a_file_that_cannot_be_written_is_refused_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"HUB_ACCESS_LOG cannot be written: .*choose another file"):
        AccessLog(configure("info", "json", io.StringIO()), tmp_path / "file" / "access.log", CLOCK)


def test_a_file_that_fails_later_is_reported_and_the_log_goes_on(tmp_path: Path) -> None:
    stream, file = io.StringIO(), tmp_path / "access.log"
    written = AccessLog(configure("info", "json", stream), file, CLOCK)
    file.unlink()
    file.mkdir()
    with written.running():
        written.record(access())
    failed, line = lines(stream.getvalue())
    assert (failed["event"], failed["lines"], line["request_id"]) == ("access_log.failed", 1, "r-1")


def test_several_processes_share_a_file_and_rotate_it_without_losing_a_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "access.log"
    processes = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), str(number)]) for number in range(3)]
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0, 0]
    files = list(tmp_path.glob("access.log*"))
    assert 3 < len(files) <= FILES_KEPT + 1
    found = [line["request_id"] for path in files for line in lines(path.read_text())]
    assert len(found) == len(set(found)) == 600
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
