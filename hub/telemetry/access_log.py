"""One line for each request that was answered, written by a thread of its own, so that no request waits for it."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from logging import INFO, Handler, LogRecord, makeLogRecord
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson
import structlog
from structlog.typing import EventDict

from hub.clock import Clock
from hub.telemetry.log import LEVELS, LogOutput
from hub.telemetry.redaction import clean
from hub.telemetry.request_context import RequestContext

EVENT = "request.completed"
LOGGER = "hub.access"
CAPACITY = 20_000
"""Lines that may wait to be written, a few megabytes. What comes beyond them is counted and dropped."""
FILE_BYTES = 50 * 1024 * 1024
"""Size at which the file is renamed to `<name>.1`, the one before to `<name>.2`, and so on."""
FILES_KEPT = 9
"""Renamed files that are kept; older ones are removed."""
_GATHER_SECONDS = 0.1
"""How long the thread waits for more after the first line: one write for many lines costs the least."""
_LINES_A_WRITE = 1_000
_CLOSE_SECONDS = 2.0
_MAX_PARAMETERS = 20
_MAX_NAME = 64
_log = structlog.get_logger(__name__)


class Access(NamedTuple):
    """A request, after its answer. It is never shown whole: of `query` only the names of the parameters are written."""

    began: float
    """On the monotonic clock."""
    context: RequestContext
    method: str
    route: str | None
    """The template of its path, such as `/v1/events/{event_id}`; None when no route has this path."""
    query: bytes
    status: int | None
    """None when the client went away before it was answered."""
    seconds: float
    client: str | None
    """The address of the client, or of the proxy before the hub."""
    is_probe: bool
    """Asked again and again by machines; shown only at the level `debug`."""


class AccessLog:
    """Writes to the process's log at the level `info`, and to a file, as JSON, if there is one.

    Several processes may write to one file. Example:

        access_log = AccessLog(configure("info", "json"), Path("/var/log/hub/access.log"), SystemClock())
        with access_log.running():
            access_log.record(access)
    """

    def __init__(
        self,
        output: LogOutput,
        file: Path | None,
        clock: Clock,
        *,
        capacity: int = CAPACITY,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        """Raises `ValueError` when the file cannot be written."""
        self._output = output
        self._clock = clock
        self._file = None if file is None else _open_file(file, file_bytes)
        self._capacity = capacity
        self._is_wanted = self._file is not None or output.threshold <= INFO
        self._waiting: deque[Access] = deque()
        self._dropped = 0
        self._has_some = threading.Event()
        self._is_closing = threading.Event()

    def record(self, access: Access) -> None:
        """Have it written soon. This never waits."""
        if not self._is_wanted:
            return
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            return
        self._waiting.append(access)
        if not self._has_some.is_set():
            self._has_some.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write until the context ends; what is waiting then is still written, within two seconds."""
        # A daemon: a reader of standard error that has stopped reading must not keep the process alive.
        thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_closing.set()
            self._has_some.set()
            thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._is_closing.is_set():
            self._has_some.wait()
            self._is_closing.wait(_GATHER_SECONDS)
            # Before the lines are taken: what is recorded from now on asks for another round.
            self._has_some.clear()
            self._write_waiting()
        if self._file is not None:
            self._file.close()

    def _write_waiting(self) -> None:
        # An instant costs ten times as much as a monotonic time, so it is not asked for by each request.
        zero = self._clock.now().timestamp() - self._clock.monotonic()
        while lines := [self._waiting.popleft() for _ in range(min(len(self._waiting), _LINES_A_WRITE))]:
            events = [self._event(line, zero) for line in lines]
            if self._file is not None:
                text = "\n".join(orjson.dumps(event).decode() for event in events)
                self._file.emit(makeLogRecord({"msg": text}))
            if shown := [event for event in events if self._output.threshold <= LEVELS[event["level"]]]:
                self._output.write(shown)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            _log.warning("access_log.dropped", lines=dropped)

    def _event(self, access: Access, zero: float) -> EventDict:
        seconds, milliseconds = divmod(int((zero + access.began) * 1000), 1000)
        event: EventDict = {
            "timestamp": f"{_second(seconds)}.{milliseconds:03d}Z",
            "level": "debug" if access.is_probe else "info",
            "event": EVENT,
            "request_id": access.context.request_id,
            "method": access.method,
            "route": access.route,
            "status": access.status,
            "duration_ms": round(access.seconds * 1000, 3),
            "key_id": access.context.key_id,
            "client": access.client,
            "logger": LOGGER,
        }
        if access.query:
            event["parameters"] = _names(access.query)
        if self._output.role:
            event["role"] = self._output.role
        return event


def _open_file(path: Path, max_bytes: int) -> Handler:
    """A file that several processes write and rotate. When it fails later, the requests go on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise ValueError(f"HUB_ACCESS_LOG cannot be written: {error.strerror or error}; choose another file") from None
    # Only where a file is asked for: it loads much, the Redis client among it.
    from concurrent_log_handler import ConcurrentRotatingFileHandler  # noqa: PLC0415 - see above

    handler = ConcurrentRotatingFileHandler(str(path), "a", max_bytes, FILES_KEPT, encoding="utf-8", chmod=0o600)
    handler.handleError = _report_failure  # type: ignore[method-assign] # a subclass would load the library always
    return handler


def _report_failure(record: LogRecord) -> None:
    _log.error("access_log.failed", lines=record.msg.count("\n") + 1, exc_info=True)


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _names(query: bytes) -> list[str]:
    """The names of the parameters, in the order in which they first occur. Values may be secrets, such as tickets."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=10 * _MAX_PARAMETERS)
    except ValueError:
        return []
    names = dict.fromkeys(name[:_MAX_NAME] for name, _ in pairs)
    return [clean(name) for name in list(names)[:_MAX_PARAMETERS]]
