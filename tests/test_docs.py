"""The documents are true: every setting with its default, problem, route, log event and path, and no dead link."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from channels import load_channels
from hub.api.access import RequireScope
from hub.app import create_app
from hub.cli import app
from hub.errors import HubError
from hub.models import Scope
from hub.settings import Settings
from hub.telemetry import access_log

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
INTERNAL = {"channel_options"}
"""What is collected, and not set."""


def names(prefix: str = "HUB_") -> set[str]:
    return {prefix + name.upper() for name in Settings.model_fields if name not in INTERNAL}


def family(error: type[HubError]) -> Iterator[type[HubError]]:
    yield error
    for kind in error.__subclasses__():
        yield from family(kind)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The settings of `.env.example`, by name."""
    monkeypatch.chdir(tmp_path)
    return dict(re.findall(r"^# (HUB_[A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_example_environment_holds_every_setting_with_its_default(
    example: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Settings()
    of_channels = {f"HUB_{name.upper()}" for channel in load_channels().values() for name in channel.option_names}
    assert set(example) == (names() | of_channels) - {"HUB_FAILPOINTS"}
    for name, value in example.items():
        # There is no default for a key, and an empty one is refused.
        if not name.endswith("SECRET_KEY") and name != "HUB_ADMIN_KEY":
            monkeypatch.setenv(name, value)
    assert Settings().model_dump(exclude=INTERNAL) == defaults.model_dump(exclude=INTERNAL)


def test_the_reference_of_settings_holds_every_setting_with_its_default(example: dict[str, str]) -> None:
    text = (ROOT / "docs/reference/settings.md").read_text().split("## Settings of channels")[0]
    rows = dict(re.findall(r"^\| `(HUB_[A-Z_]+)` \| `?([^`|]*)`?.*\|$", text, re.MULTILINE))
    assert set(rows) == names()
    numbers = {name: value for name, value in example.items() if value.isdecimal() and name in names()}
    assert {name: rows[name] for name in numbers} == numbers


def test_the_reference_of_problems_holds_every_problem() -> None:
    text = (ROOT / "docs/reference/problems.md").read_text()
    documented = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE))
    assert documented == {(str(error.status), error.code) for error in family(HubError)}


def test_the_reference_of_routes_holds_every_route_with_its_scope(tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/rest.md").read_text()
    documented = {
        (method, re.sub(r"\{\w+\}", "{}", path)): scopes.replace("`", "")
        for routes, scopes in re.findall(r"^\| (`[A-Z]+ /[^|]*`) \| ([^|]*) \|", text, re.MULTILINE)
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", routes)
    }
    routes = [one for one in create_app(Settings(data_dir=tmp_path)).routes if isinstance(one, APIRoute)]
    assert documented == {
        (method, re.sub(r"\{[\w:]+\}", "{}", route.path)): _scopes(route)
        for route in routes
        if route.include_in_schema
        for method in route.methods or ()
    }


def _scopes(route: APIRoute) -> str:
    # A ticket stands for a key, so the route of the stream looks for one by itself.
    if route.path == "/v1/stream":
        return Scope.READ
    (names,) = [one.names for one in _dependencies(route.dependant) if isinstance(one, RequireScope)] or ["none"]
    return names


def _dependencies(dependant: Dependant) -> Iterator[object]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _dependencies(inner)


def test_the_reference_of_commands_holds_every_command_and_option() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text()
    everywhere = {"--url", "--key", "--json"}
    assert [option for option in everywhere if f"`{option}`" not in text] == []
    missing = []
    for words, command in _commands(typer.main.get_command(app)):
        found = re.search(rf"`hub {' '.join(words)}\b([^`]*)`(.*)", text)
        told = found[0] if found else ""
        options = {name for one in command.params for name in one.opts if name.startswith("--")} - everywhere
        missing += [" ".join(words)] * (not found) + [f"{words} {name}" for name in options if name not in told]
    assert missing == []


def _commands(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, *words, name)
        else:
            yield (*words, name), command


def test_every_setting_of_a_channel_is_documented(example: dict[str, str]) -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    names_ = {f"HUB_{name.upper()}" for channel in load_channels().values() for name in channel.option_names}
    assert names_ - set(re.findall(r"`(HUB_[A-Z_]+)`", text.split("## Settings of channels")[1])) == set()
    assert names_ - set(example) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_setting_that_a_page_names_exists(page: Path) -> None:
    known = _named(ROOT / "docs/reference/settings.md") | {"HUB_URL", "HUB_KEY", "HUB_CONFIG"}
    assert _named(page) - known == set()


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    paths = re.findall(r"`((?:hub|channels|schedules|tests)/[\w./-]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_picture_of_the_rooms_shows_the_layers_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["hub"]]
    shown: dict[float, set[str]] = {}
    picture = (ROOT / "docs/images/rooms.svg").read_text()
    for height, room in re.findall(r'class="name"[^>]*y="([\d.]+)">(\w+)</text>', picture):
        shown.setdefault(float(height), set()).add(room)
    assert [shown[height] for height in sorted(shown)] == [set(re.findall(r"\w+", row)) for row in layers]


def test_the_reference_of_logs_holds_every_event_with_its_level() -> None:
    text = (ROOT / "docs/reference/logs.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (\w+)", text, re.MULTILINE))
    logged = {event for package in ("hub", "schedules") for event in _logged(ROOT / package)}
    # The access lines come from a writer of their own.
    assert documented == logged | {(access_log.EVENT, "info")}


def _logged(package: Path) -> Iterator[tuple[str, str]]:
    """The events that the modules of a package write to their logger `_log`, each with its level."""
    for module in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="_log"), attr=level), args=[ast.Constant(value=key)]
                ):
                    yield str(key), "error" if level == "exception" else level


def _named(page: Path) -> set[str]:
    return set(re.findall(r"\bHUB_[A-Z_]*[A-Z]\b", page.read_text()))
