"""`hub publish` and `hub replay`: send something now."""

import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import orjson
import typer

from hub.cli.client import ClientError
from hub.cli.connection import AsJson, Key, Url, connect, out, print_json
from hub.models import Status
from hub.publishing.rawjson import BYTE_ORDER_MARK


def publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Type of the event, such as order.created.")],
    *,
    data: Annotated[str, typer.Option("--data", "-d", help="The event's data: JSON, @FILE, or - for standard input.")],
    source: Annotated[str | None, typer.Option(help="Where the event comes from, as a URI reference.")] = None,
    subject: Annotated[str | None, typer.Option(help="What it is about, such as orders/o-1.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Your own id; unique within the source.")] = None,
    deliver_at: Annotated[str | None, typer.Option(help="RFC 3339 instant before which nothing is sent.")] = None,
    expires_at: Annotated[str | None, typer.Option(help="RFC 3339 instant after which nothing is sent.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Give the same one to repeat a publish safely. [default: a fresh one]")
    ] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Publish one event, and print its id once it is stored.

    Use it to try the hub, or in a script. The key needs the scope `events:write`. A service needs no command: it posts
    to `/v1/events` with any HTTP client.
    """
    event = {
        "type": event_type,
        "source": source,
        "subject": subject,
        "id": event_id,
        "deliver_at": deliver_at,
        "expires_at": expires_at,
        # As it was given: 10.50 must not become 10.5 on its way. See docs/decisions/0003.
        "data": orjson.Fragment(_json_text(data)),
    }
    body = orjson.dumps({name: value for name, value in event.items() if value is not None})
    with connect(url, key) as hub:
        accepted = hub.post("/v1/events", body, {"Idempotency-Key": idempotency_key or str(uuid4())})
    if as_json:
        print_json(accepted)
    else:
        note = " (a duplicate: nothing is sent again)" if accepted.get("duplicate") else ""
        out.print(f"[bold]{accepted['id']}[/] accepted{note}")


def replay(
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="Id of the delivery: dlv_…")],
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Send a delivery again, at once.

    Use it for a dead letter, when its target works again. Any delivery can be replayed, except one that is being sent
    at the moment, or whose event was cancelled or has expired. The key needs the scope `manage`.
    """
    with connect(url, key) as hub:
        delivery = hub.post(f"/v1/deliveries/{delivery_id}/replay")
    if as_json:
        print_json(delivery)
    else:
        # A delivery that is held waits all the same, and its reason says what for.
        state = f"is held: {delivery['reason']}" if delivery["status"] == Status.HELD else "is sent again"
        out.print(f"{delivery_id} {state}", markup=False)
        out.print(f"Watch it: hub tail --since earliest --event-id {delivery['event_id']}", style="dim")


def _json_text(given: str) -> bytes:
    """The data byte for byte as it was given, checked to be JSON."""
    try:
        if given == "-":
            text = sys.stdin.buffer.read()
        elif given.startswith("@"):
            text = Path(given[1:]).read_bytes()
        else:
            text = given.encode()
        # The beginning of a file as some editors write it; within the event it would not be JSON.
        text = text.removeprefix(BYTE_ORDER_MARK)
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ClientError(f"--data is not JSON: {error}.") from None
    except OSError as error:
        raise ClientError(f"--data cannot be read: {given.removeprefix('@')}: {error.strerror or error}.") from None
    except UnicodeError:
        raise ClientError("--data cannot be read: it is not text in UTF-8.") from None
    return text
