"""The request that is being answered: what its log lines, its problems and its answer have in common."""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

from structlog.typing import EventDict, WrappedLogger

from hub.ids import new_id
from hub.telemetry.redaction import clean

HEADER = b"x-request-id"
_ACCEPTABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


@dataclass(slots=True)
class RequestContext:
    """Of one request. `key_id` is None until its key is known, and stays None where a request needs no key. `tenant` is
    empty until it is known for whom the request is."""

    request_id: str
    key_id: str | None = None
    tenant: str = ""


_current: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def offered_id(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The `X-Request-ID` among the headers of a request, if there is one."""
    for name, value in headers:
        if name == HEADER:
            return value
    return None


def request_id(offered: bytes | None) -> str:
    """The `X-Request-ID` that the client or a proxy has sent, if it is printable ASCII of 1 to 128 characters and does
    not look like a secret, since the log shows it; else a new one."""
    if offered is not None and _ACCEPTABLE.fullmatch(offered) and clean(text := offered.decode()) == text:
        return text
    return new_id("req")


def begin_request(offered: bytes | None) -> RequestContext:
    """Make this the current request of the running asyncio task, and of those that it starts."""
    context = RequestContext(request_id(offered))
    _current.set(context)
    return context


def current_request() -> RequestContext | None:
    """None outside of requests."""
    return _current.get()


def identified(tenant: str, key_id: str | None = None) -> None:
    """Note for which tenant the current request is, and with which key."""
    context = _current.get()
    if context is not None:
        context.tenant, context.key_id = tenant, key_id


def add_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the line says to which request it belongs."""
    context = _current.get()
    if context is not None:
        event.setdefault("request_id", context.request_id)
        if context.key_id is not None:
            event.setdefault("key_id", context.key_id)
    return event
