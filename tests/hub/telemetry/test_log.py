"""Every line is one JSON object, from whichever library, without secrets, and logging never fails the work."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from hub.telemetry.log import QUIET, configure
from tests.hub.telemetry.restored import restored_logging


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with restored_logging():
        yield


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("info", "json", stream)
    return stream


def test_a_line_is_one_json_object_with_its_level_logger_and_utc_time(stream: io.StringIO) -> None:
    structlog.get_logger("hub.attempt").info("attempt", number=1, outcome="succeeded")
    (line,) = written(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "attempt",
        "number": 1,
        "outcome": "succeeded",
        "level": "info",
        "logger": "hub.attempt",
    }


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("quiet")
    logging.getLogger("anything").debug("quiet")
    assert written(stream) == []
    configure("DEBUG", "json", stream)
    structlog.get_logger().debug("heard")
    logging.getLogger("anything").debug("heard")
    assert [line["event"] for line in written(stream)] == ["heard", "heard"]


def test_the_standard_librarys_records_go_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").info("Started on %s", "http://127.0.0.1:8000")
    (line,) = written(stream)
    assert (line["event"], line["level"], line["logger"]) == (
        "Started on http://127.0.0.1:8000",
        "info",
        "uvicorn.error",
    )


def test_http_clients_are_quiet_below_warning_even_at_debug(stream: io.StringIO) -> None:
    configure("debug", "json", stream)
    for name in QUIET:
        logging.getLogger(name).info("GET https://example.com/secret")
        logging.getLogger(f"{name}.part").warning("trouble")
    assert [line["event"] for line in written(stream)] == ["trouble"] * len(QUIET)


def test_access_lines_are_not_written(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info("GET /v1/stream?ticket=abc")
    assert written(stream) == []


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_reach_neither_format(style: str) -> None:
    stream = io.StringIO()
    configure("info", style, stream)
    log = structlog.get_logger()
    local = "whsec_a-local-variable"
    log.info("whsec_event", password="pass-1", url="https://u:pass-2@h/?pass-3", nested={"token": "pass-4"})
    log.bind(authorization="pass-5").info("bound")
    try:
        raise ValueError(f"whsec_pass-6 {len(local)}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("std").exception("failed %s", "Bearer pass-7pass-7")
    text = stream.getvalue()
    assert "whsec_" not in text.replace('local = "whsec_a-local-variable"', "")
    assert "pass-" not in text
    assert text.count("Traceback") == 2


def test_context_is_part_of_every_line(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("here")
        logging.getLogger("std").warning("there")
    assert [line["request_id"] for line in written(stream)] == ["r-1", "r-1"]


def test_what_cannot_be_json_is_still_one_line(stream: io.StringIO) -> None:
    structlog.get_logger().info("odd", name="caf\udce9", huge=1 << 70, raw=b"\xff", keys_of={(1, 2): 3}, many={1})
    structlog.get_logger().info("line\nbreak")
    assert [line["event"] for line in written(stream)] == ["odd", "line\nbreak"]


class BrokenPipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_does_not_fail_the_work() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (BrokenPipe(), closed):
        configure("info", "json", stream)
        structlog.get_logger().info("unheard")
        logging.getLogger("std").warning("unheard")


def test_a_record_whose_arguments_do_not_fit_is_written_without_them(stream: io.StringIO) -> None:
    configure("info", "json", stream)  # anew, without the handler of the test runner, which raises
    logging.getLogger("std").warning("%d of them", "not a number")
    assert [line["event"] for line in written(stream)] == ["%d of them"]


def test_configuring_again_replaces_what_was(stream: io.StringIO) -> None:
    again = io.StringIO()
    configure("info", "json", again)
    logging.getLogger("std").warning("once")
    assert stream.getvalue() == ""
    assert len(written(again)) == 1


@pytest.mark.parametrize(("level", "style"), [("loud", "json"), ("info", "xml")])
def test_an_unknown_level_or_format_is_refused(level: str, style: str) -> None:
    with pytest.raises(ValueError, match="json, console or auto"):
        configure(level, style)
