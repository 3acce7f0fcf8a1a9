"""`hub tail`: the live stream in a terminal, resumed after each break without a hole."""

import json
import random
import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import httpx
import typer
from httpx_sse import EventSource, ServerSentEvent
from rich.markup import escape
from rich.text import Text

from hub.cli.client import HubClient, Refused, Unreachable
from hub.cli.connection import AsJson, Key, Url, connect, err, out
from hub.models import FeedKind, Status

SILENCE_SECONDS = 45.0
"""Three heartbeats of a stream with default settings."""
LONGEST_WAIT_SECONDS = 30.0
EARLIEST = "earliest"
_GAP = "entries before this are missing: they are no longer kept, or the hub never gave out the cursor"

STYLES = {
    "event.accepted": "cyan",
    "delivery.attempted": "yellow",
    "delivery.delivered": "green",
    "delivery.dead": "bold red",
    "delivery.cancelled": "magenta",
    "subscription.disabled": "bold red",
    "subscription.enabled": "green",
    "gap": "bold yellow",
}


def _cursor(since: str | None) -> str | None:
    """Refuse here what the stream would answer with a gap, such as an instant."""
    if since not in {None, "", EARLIEST} and not (since or "").isdecimal():
        raise typer.BadParameter(f"must be a cursor, as --json shows it as `id`, or `{EARLIEST}`")
    return since


def tail(
    *,
    types: Annotated[
        list[str] | None, typer.Option("--types", "-t", help="Only these event type patterns; repeat for several.")
    ] = None,
    event_id: Annotated[str | None, typer.Option(help="Only this event.")] = None,
    subscription_id: Annotated[str | None, typer.Option(help="Only this subscription.")] = None,
    statuses: Annotated[
        list[str] | None, typer.Option(help="Only deliveries that reach this status; repeat for several.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            callback=_cursor,
            help="Start after this cursor, such as 1042, or at the `earliest` entry that is kept. [default: now]",
        ),
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after this many events.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Watch events and deliveries as they happen.

    Use it to see what a hub does, or to feed a script with `--json`. It reconnects by itself and misses nothing; Ctrl+C
    ends it. Any number can run at the same time, up to the hub's limit of listeners. The key needs the scope `read`.
    """
    params = {
        "types": ",".join(types or ()),
        "event_id": event_id,
        "subscription_id": subscription_id,
        "statuses": ",".join(statuses or ()),
        "last_event_id": since,
    }
    show = _show_json if as_json else _show_line
    with connect(url, key) as hub:
        for event in islice(follow(hub, params), count):
            show(event)


def follow(hub: HubClient, params: dict[str, str | None]) -> Iterator[ServerSentEvent]:
    """Every event of the stream, over as many connections as it takes.

    The first connection must succeed; later ones are tried until they do. Raises `Refused` for a 4xx answer.
    """
    cursor = ""
    retry_seconds = 1.0
    failures = 0
    connected = False
    while True:
        # A stream that ends without an event is a failure too: the hub is too busy, or stops.
        failures += 1
        try:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": cursor} if cursor else {})}
            with hub.stream("/v1/stream", params, headers, SILENCE_SECONDS) as response:
                connected = True
                for event in EventSource(response).iter_sse():
                    failures = 0
                    # From `cursor` too: a listener whose filter lets little through resumes near the end.
                    cursor = event.id or cursor
                    retry_seconds = retry_seconds if event.retry is None else event.retry / 1000
                    if event.event != FeedKind.CURSOR:
                        yield event
        except (Unreachable, Refused) as error:
            permanent = isinstance(error, Refused) and error.status < httpx.codes.INTERNAL_SERVER_ERROR
            if permanent or not connected:
                raise
            err.print(f"[dim]{escape(str(error))} Trying again …[/]")
        wait = min(retry_seconds * 2**failures, LONGEST_WAIT_SECONDS)
        time.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter needs no secrecy


def _show_json(event: ServerSentEvent) -> None:
    line = {"id": event.id, "event": event.event, "data": json.loads(event.data)}
    typer.echo(json.dumps(line, ensure_ascii=False))


def _show_line(event: ServerSentEvent) -> None:
    out.print(as_line(event))


def as_line(event: ServerSentEvent) -> Text:
    """`10:21:07.123  delivery.delivered  order.created  dlv_… → sales room (slack, sub_…)  attempt 1, 200, 12 ms`."""
    read = json.loads(event.data)
    # Of an event that only a newer version of the hub knows, all that is certain is that it is JSON.
    data: dict[str, Any] = read if isinstance(read, dict) else {}
    instant = str(data.get("updated_at") or data.get("accepted_at") or data.get("created_at") or "")
    attempt = (data.get("attempts") or [None])[-1] or data.get("attempt") or {}
    facts = [
        data.get("event_type") or data.get("type") or data.get("kind") or data.get("name") or "",
        _ids(data),
        ", ".join((*_attempt(attempt), *_next(data, instant))) or data.get("reason") or "",
        _GAP if event.event == FeedKind.GAP else "",
    ]
    line = Text(f"{instant[11:23]:12}  ", style="dim")
    line.append(f"{event.event:21}", style=STYLES.get(event.event, ""))
    line.append("  ".join(_printable(str(fact)) for fact in facts if fact))
    return line


def _printable(text: str) -> str:
    """The text without control characters: a receiver's answer must not control the terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _ids(data: dict[str, Any]) -> str:
    ids = str(data.get("id") or "")
    if not data.get("subscription_id"):
        return ids
    # The name says more to people, and the id is what commands take.
    name = data.get("subscription_name")
    facts = [fact for fact in (data.get("channel"), data["subscription_id"] if name else None) if fact]
    return f"{ids} → {name or data['subscription_id']}" + (f" ({', '.join(facts)})" if facts else "")


def _attempt(attempt: dict[str, Any]) -> Iterator[str]:
    if attempt.get("number") is not None:
        yield f"attempt {attempt['number']}"
    if attempt.get("status_code") is not None:
        yield str(attempt["status_code"])
    if attempt.get("duration_ms") is not None:
        yield f"{attempt['duration_ms']} ms"
    if attempt.get("error"):
        yield str(attempt["error"])


def _next(data: dict[str, Any], now: str) -> Iterator[str]:
    """When another attempt follows the one that is shown; with the day, unless it is the same as that of `now`."""
    due = str(data.get("next_attempt_at") or "")
    if due and data.get("attempt") and data.get("status") == Status.PENDING:
        yield f"next at {due[11:19] if due[:10] == now[:10] else due[:19].replace('T', ' ')}"
