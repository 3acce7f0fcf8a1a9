"""What `hub doctor` asks a running hub. Each check gives findings and changes nothing."""

from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from importlib.metadata import version as installed_version
from typing import Any

import httpx

from hub.cli.checks import channel_findings
from hub.cli.client import ClientError, HubClient, Refused, Unreachable
from hub.clock import Clock
from hub.findings import Finding, State

SKEW_SECONDS = 5.0
SKEW_LIMIT_SECONDS = 60.0


def server(hub: HubClient, clock: Clock) -> Iterator[Finding]:
    """A running hub: whether it is alive and ready, its version, its clock, and whether it accepts the key.

    Raises `Unreachable` when no hub answers.
    """
    alive = hub.probe("/livez")
    if alive.is_client_error:
        advice = "Stop it, give the hub another HUB_PORT, or correct --url or HUB_URL."
        yield Finding("alive", "failed", f"something else than a hub answers at {hub.url}", advice)
        return
    if not alive.is_success:
        yield Finding("alive", "failed", f"/livez answers {alive.status_code}", "Look at the hub's log.")
        return
    yield Finding("alive", "ok", f"{hub.url} answers")
    yield _clock_skew(alive, clock)
    yield _ready(hub.probe("/readyz"))
    yield _version(hub.probe("/openapi.json"))
    key = _key(hub)
    yield key
    if key.state == "ok":
        yield from _channels(hub)


def _clock_skew(response: httpx.Response, clock: Clock) -> Finding:
    try:
        skew = abs((parsedate_to_datetime(response.headers["Date"]) - clock.now()).total_seconds())
    except (KeyError, ValueError, TypeError):
        return Finding(
            "clock", "warning", "the hub's answer has no date", "Check for a proxy that removes the Date header."
        )
    advice = "Turn on time synchronisation (NTP); receivers refuse signatures that are minutes off."
    if skew > SKEW_SECONDS:
        state: State = "failed" if skew > SKEW_LIMIT_SECONDS else "warning"
        return Finding("clock", state, f"{skew:.0f} s apart from the hub's clock", advice)
    return Finding("clock", "ok", "agrees with the hub's clock")


def _ready(response: httpx.Response) -> Finding:
    try:
        answer = response.json()
        if response.is_success:
            return _warned(answer.get("warnings") or [])
        reasons = "; ".join(answer.get("reasons") or [answer["detail"]])
    except (ValueError, KeyError, TypeError, AttributeError):
        reasons = f"/readyz answers {response.status_code}"
    return Finding("ready", "failed", reasons, "Events are refused with 503 until this is fixed.")


def _warned(warnings: Sequence[str]) -> Finding:
    if warnings:
        return Finding("ready", "warning", f"accepts events, but: {' '.join(warnings)}", "Correct what each names.")
    return Finding("ready", "ok", "accepts events")


def _version(response: httpx.Response) -> Finding:
    ours = installed_version("notification-hub")
    try:
        theirs = str(response.json()["info"]["version"])
    except (ValueError, KeyError, TypeError):
        return Finding("version", "warning", f"/openapi.json answers {response.status_code}", "Is this a hub?")
    if theirs != ours:
        return Finding(
            "version", "warning", f"the hub is {theirs}, this command {ours}", "Restart the hub, or install the newer."
        )
    return Finding("version", "ok", ours)


def _key(hub: HubClient) -> Finding:
    try:
        hub.get("/v1/event-types", {"limit": "1"})
    except Unreachable:
        raise
    except ClientError as error:
        return Finding("key", "failed", str(error), "Give --key, or set HUB_KEY; `hub keys create` makes one.")
    return Finding("key", "ok", "is accepted")


def _channels(hub: HubClient) -> Iterator[Finding]:
    """Checked by the hub itself, which has the settings and the targets, and which may be on another machine."""
    try:
        found: list[dict[str, Any]] = hub.post("/v1/channels/check")["items"]
    except Refused as refused:
        if refused.status == httpx.codes.FORBIDDEN:
            yield Finding("channels", "warning", "not checked: the key lacks the scope admin", "Give an admin key.")
        elif refused.status not in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}:
            yield Finding("channels", "failed", str(refused), "Look at the hub's log.")
        return
    yield from channel_findings(found)
