"""One line of JSON (or, for people, of text) for everything that the process logs, from every library.

Who logs never waits for the reader of standard error; see `hub.telemetry.log_writer`.
"""

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from hub.telemetry.log_writer import LogWriter
from hub.telemetry.redaction import redact
from hub.telemetry.request_context import add_request

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
QUIET = ("aiohttp", "apscheduler", "asyncio", "httpcore", "httpx", "mail.log", "opentelemetry", "urllib3")
"""Libraries that are logged from `warning` on only: below it, HTTP clients print addresses with their secrets."""


@dataclass(frozen=True, slots=True)
class LogOutput:
    """Where the lines of the process go, for a writer that has many at once. They are neither filtered by level nor
    redacted, so such a writer adds no member that could hold a secret."""

    threshold: int
    """Lines of a lower level, as in `LEVELS`, are not wanted."""
    role: str
    """A member of every line, unless it is empty."""
    _render: Processor
    _writer: LogWriter

    @property
    def dropped(self) -> int:
        """Lines of the whole process that were not written, because the reader of the log did not keep up."""
        return self._writer.dropped

    def write(self, events: Iterable[EventDict]) -> None:
        """Write a line for each event, which has its `event`, `level`, `logger` and `timestamp`."""
        self._writer.write("\n".join(str(self._render(None, "", event)) for event in events))


def configure(level: str, style: str, stream: TextIO | None = None, *, role: str = "") -> LogOutput:
    """Set up logging for the whole process; `stream` is standard error unless given. Every line has the `role`, if any.

    Raises `ValueError` for an unknown `level` (`debug` to `critical`) or `style` (`json`, `console`, or `auto`, which
    is `console` on a terminal).
    """
    if level.lower() not in LEVELS or style not in {"json", "console", "auto"}:
        raise ValueError(f"the log level is one of {', '.join(LEVELS)}, and the log format json, console or auto")
    threshold = LEVELS[level.lower()]
    stream = stream or sys.stderr
    writer = LogWriter(stream)
    if style == "auto":
        style = "console" if stream.isatty() else "json"
    render: Processor = _json if style == "json" else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_request,
        *([_Member("role", role)] if role else ()),
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Here, because the renderers would show local variables, and redaction needs the text.
        structlog.processors.format_exc_info,
        redact,
        render,
    ]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda name="hub": _Line(name, writer),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(chain, writer)]
    root.setLevel(threshold)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
    # The hub writes its own line for each request: this one shows the query, which may hold a ticket.
    logging.getLogger("uvicorn.access").propagate = False
    return LogOutput(threshold, role, render, writer)


class _Line:
    """The end of a structlog logger: the method of each level writes a finished line."""

    def __init__(self, name: str, writer: LogWriter) -> None:
        self.name = name
        self._writer = writer

    def msg(self, line: str) -> None:
        self._writer.write(line)

    debug = info = warning = error = critical = exception = msg


class _Bridge(logging.Handler):
    """Sends the records of the standard library through the hub's own chain."""

    def __init__(self, chain: Sequence[Processor], writer: LogWriter) -> None:
        super().__init__()
        self._chain = chain
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a log call with wrong arguments must not fail its caller
            message = str(record.msg)
        line = _Line(record.name, self._writer)
        event: Any = {"event": message}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for process in self._chain:
            event = process(line, record.levelname.lower(), event)
        line.msg(event)


class _Member:
    """Adds a member to every line."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event[self._name] = self._value
        return event


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event).decode()
    except (TypeError, orjson.JSONEncodeError):
        # Numbers over 64 bits, and text that is not Unicode, such as some file names.
        return json.dumps(event)
