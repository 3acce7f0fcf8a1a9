"""`hub doctor`: what is wrong, and what to do about it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Annotated

import typer
from rich.markup import escape

from hub.cli.accept_clock import accepted_clock
from hub.cli.checks import ELSEWHERE, address, check_channels, local
from hub.cli.client import ClientError, Unreachable, is_local
from hub.cli.configuration import load_settings
from hub.cli.connection import AsJson, Key, Url, connect, out, print_json
from hub.cli.server_checks import server
from hub.clock import Clock, SystemClock
from hub.findings import EMPTY_STORE, Finding
from hub.settings import Settings

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[bold red]✗[/]"}


AcceptClock = Annotated[
    bool, typer.Option("--accept-clock", help="Trust a clock that has jumped, so that what is old is removed again.")
]


def doctor(url: Url = None, key: Key = None, as_json: AsJson = False, accept_clock: AcceptClock = False) -> None:
    """Check this machine and the hub, and say what to do.

    Run it after the first start, after an update, and when events are not delivered. It sends nothing, changes nothing
    but with --accept-clock, and exits with 1 when something must be fixed.
    """
    clock = SystemClock()
    findings = []
    accepting = (accepted_clock(clock),) if accept_clock else ()
    for finding in chain(accepting, _findings(url, key, clock)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    healthy = all(finding.state != "failed" for finding in findings)
    if as_json:
        print_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    if not healthy:
        raise typer.Exit(1)


def _findings(url: str | None, key: str | None, clock: Clock) -> Iterator[Finding]:
    settings, found = None, list[Finding]()
    if url is None or is_local(url):
        try:
            settings = load_settings()
        except ClientError as error:
            yield Finding("settings", "failed", str(error), "Correct it in the environment or in hub.toml.")
        else:
            try:
                for finding in local(settings, clock):
                    found.append(finding)
                    yield finding
            except OSError as error:
                seen = f"{error.filename}: {error.strerror}"
                yield Finding("data directory", "failed", seen, "Run this as the user of the hub, who may read it.")
    if url is None and settings is None:
        return
    try:
        with connect(url, key, timeout=10.0) as hub:
            yield from server(hub, clock)
    except Unreachable as error:
        yield from _without_server(settings, found, error)
    except ClientError as error:
        yield Finding("hub", "failed", str(error), "Correct it, and run `hub doctor` again.")


def _without_server(settings: Settings | None, found: Sequence[Finding], error: Unreachable) -> Iterator[Finding]:
    """No hub answers: a warning where its store was found on this machine, and a failure otherwise."""
    empty = [finding.seen for finding in found if finding.check == EMPTY_STORE]
    if settings is None:
        yield Finding("alive", "failed", str(error), "Check --url, and the network in between.")
        return
    if empty:
        yield Finding("alive", "failed", f"{error} There is no store of one either: {empty[0]}.", ELSEWHERE)
    else:
        yield Finding("alive", "warning", "no hub is running", "Start one with `hub serve`.")
    yield from check_channels(settings)
    yield address(settings)


def _show(finding: Finding) -> None:
    out.print(f"{MARKS[finding.state]} {finding.check:15} {escape(finding.seen)}")
    if finding.advice:
        out.print(f"  {'':15} [dim]→[/] {escape(finding.advice)}")
