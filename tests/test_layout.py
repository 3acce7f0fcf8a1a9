"""Tests mirror the source: each module has the test of its name, or a line here says which test covers it."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from tests.layout import Layout

ROOT = Path(__file__).parents[1]
CONFORMANCE = "tests/hub/stores/conformance/"

COVERED_BY: dict[str, tuple[str, ...]] = {
    # Declarations.
    "hub/findings.py": ("tests/hub/cli/test_checks.py",),
    "hub/models.py": ("tests/hub/stores/test_stored.py", "tests/hub/dispatch/test_transitions.py"),
    "hub/catalogue/event_types/model.py": ("tests/hub/catalogue/event_types/test_service.py",),
    "hub/catalogue/keys/model.py": ("tests/hub/catalogue/keys/test_service.py",),
    "hub/catalogue/sources/model.py": ("tests/hub/catalogue/sources/test_service.py",),
    "hub/catalogue/subscriptions/model.py": ("tests/hub/catalogue/subscriptions/test_codec.py",),
    "hub/cluster/roles.py": ("tests/hub/runtime/test_process.py",),
    "hub/stores/options.py": ("tests/hub/stores/redis/test_intake.py", "tests/hub/stores/sqlite/test_durability.py"),
    # One function, or one call passed on.
    "hub/rendering/compiled.py": ("tests/hub/rendering/test_renderer.py",),
    "hub/dispatch/events.py": ("tests/hub/dispatch/test_deliveries.py",),
    "hub/tasks/saving.py": ("tests/hub/tasks/test_runner.py", "tests/hub/tasks/test_recovery.py"),
    # The outcomes of both ways to send a mail.
    "channels/mail/outcome.py": (
        "tests/channels/mail/smtp/test_submission.py",
        "tests/channels/mail/providers/test_provider.py",
    ),
    # Parts of the pool.
    "hub/compute/": ("tests/hub/compute/test_pool.py",),
    # One suite for all of a kind.
    "hub/catalogue/sources/schemes/": ("tests/hub/catalogue/sources/schemes/test_schemes.py",),
    # What it does is seen in the answers of receivers alone.
    "channels/http/connection.py": ("tests/channels/http/test_transport.py",),
    "channels/base/channel.py": ("tests/channels/test_contract.py",),
    # What every store has to keep is tested once, for all of them.
    "hub/stores/base/": (CONFORMANCE,),
    "hub/testing/": (CONFORMANCE, "tests/channels/test_contract.py"),
    "hub/stores/change_documents.py": (CONFORMANCE,),
    "hub/stores/documents.py": (CONFORMANCE,),
    "hub/stores/search.py": (CONFORMANCE,),
    "hub/stores/process/": (CONFORMANCE,),
    "hub/stores/redis/": (CONFORMANCE,),
    "hub/stores/sqlite/": (CONFORMANCE,),
}
"""By module; or by folder, for all in it that have no test of their own. For declarations, contracts, and modules that
have no rule of their own: where there is one, write the test."""

WHOLE_ROOM: dict[str, str] = {
    "tests/channels/test_contract.py": "what every channel keeps, also one that another distribution adds",
    "tests/hub/stores/redis/lua/": "the rules that stand in Lua, in hub/stores/redis/lua/",
    "tests/hub/stores/redis/test_failover.py": "client and store over a failover",
    "tests/simulation/": "what holds whatever the interleaving: the parts of whole processes over each store",
    "tests/hub/stores/sqlite/test_durability.py": "what was acknowledged is on disk: all modules of the store together",
}
"""Tests of what no single module does, by file or folder, each with what that is."""


def test_each_module_has_its_test_or_a_line_and_each_test_its_module() -> None:
    assert Layout(ROOT).problems(COVERED_BY, WHOLE_ROOM) == []


SMALL = {
    "hub/__init__.py": "",
    "hub/clock.py": "class Clock: ...",
    "hub/app.py": "from hub.api import events",
    "hub/api/events.py": "from hub.stream import Listener",
    "hub/stream/__init__.py": '"""The stream."""\nfrom hub.stream.listener import Listener\n__all__ = ["Listener"]',
    "hub/stream/listener.py": "from hub.stream import frames\nfrom hub.clock import Clock\nclass Listener: ...",
    "hub/stream/frames.py": "def event(): ...",
    "hub/stream/cli/__init__.py": "def main(): ...",
    "tests/parts.py": "from hub.app import create_app",
    "tests/hub/test_app.py": "import hub.app",
    "tests/hub/test_clock.py": "PROGRAM = '''\nfrom hub.clock import Clock\n'''",
    "tests/hub/api/conftest.py": "from tests.parts import api",
    "tests/hub/api/test_events.py": "",
    "tests/hub/stream/test_listener.py": "from hub.stream import (\n    Listener,  # the whole front\n)",
    "tests/hub/stream/cli/test_cli.py": "COMMAND = 'hub.stream.cli:main'",
}
"""A tree in order, but for `frames.py`, which has a line."""
LINES = {"hub/stream/frames.py": ("tests/hub/stream/test_listener.py",)}


@pytest.fixture
def problems(tmp_path: Path) -> Callable[..., list[str]]:
    """The problems of the small tree with some files changed, or left out where they are None."""

    def find(
        files: Mapping[str, str | None] | None = None,
        lines: Mapping[str, Iterable[str]] = LINES,
        whole_room: Mapping[str, str] | None = None,
    ) -> list[str]:
        for place, text in {**SMALL, **(files or {})}.items():
            if text is not None:
                (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / place).write_text(text)
        return Layout(tmp_path).problems(lines, whole_room or {})

    return find


def test_a_tree_in_order_has_no_problem(problems: Callable[..., list[str]]) -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"hub/new.py": "x = 1"}, "hub/new.py: has no tests/hub/test_new.py, and no line"),
        (
            {"tests/hub/stream/cli/test_cli.py": None},
            "hub/stream/cli/__init__.py: has no tests/hub/stream/cli/",
        ),
        (
            {"tests/hub/test_clock.py": "import hub.app"},
            "tests/hub/test_clock.py: does not reach hub/clock.py",
        ),
        ({"tests/hub/api/conftest.py": ""}, "tests/hub/api/test_events.py: does not reach hub/api/events.py"),
        ({"tests/hub/stream/test_frames.py": "import hub.stream.frames"}, "hub/stream/frames.py: has tests of its own"),
        ({"tests/hub/stream/test_leases.py": ""}, "tests/hub/stream/test_leases.py: is the test of no module"),
    ],
)
def test_what_is_out_of_place_is_found(
    problems: Callable[..., list[str]], files: Mapping[str, str | None], problem: str
) -> None:
    (found,) = problems(files)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ({"hub/stream/gone.py": ("tests/hub/test_app.py",)}, "hub/stream/gone.py: is no module"),
        ({"hub/gone/": ("tests/hub/test_app.py",)}, "hub/gone/: is no module, or no folder with modules"),
        ({"hub/clock.py": ("tests/hub/test_clock.py",)}, "hub/clock.py: has tests of its own, and needs no line"),
        (
            {"hub/stream/frames.py": ("tests/hub/test_gone.py",)},
            "hub/stream/frames.py: tests/hub/test_gone.py is no",
        ),
        (
            {"hub/stream/frames.py": ("tests/hub/stream/test_listener.py", "tests/hub/test_clock.py")},
            "hub/stream/frames.py: tests/hub/test_clock.py does not reach it",
        ),
        ({"hub/stream/": ("tests/hub/api/",)}, "hub/stream/frames.py: is reached by no test that the line hub/stream/"),
    ],
)
def test_a_line_that_is_not_true_is_found(
    problems: Callable[..., list[str]], lines: Mapping[str, Iterable[str]], found: str
) -> None:
    assert any(problem.startswith(found) for problem in problems(lines=lines))


def test_a_folder_may_be_covered_by_a_folder(problems: Callable[..., list[str]]) -> None:
    assert problems(lines={"hub/stream/": ("tests/hub/stream/",)}) == []


@pytest.mark.parametrize(
    ("test", "reason", "found"),
    [
        ("tests/hub/stream/test_room.py", "", "needs a reason"),
        ("tests/hub/stream/test_gone.py", "of the room", "is no test"),
        ("tests/hub/test_clock.py", "of the room", "is the test of a module, and needs no line"),
    ],
)
def test_a_test_of_a_whole_room_is_there_has_a_reason_and_no_module(
    problems: Callable[..., list[str]], test: str, reason: str, found: str
) -> None:
    assert problems({"tests/hub/stream/test_room.py": "x = 1"}, whole_room={test: reason})[-1] == f"{test}: {found}"
