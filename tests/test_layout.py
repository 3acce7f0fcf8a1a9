"""Tests mirror the source: each module has the test of its name, or a line here says which test covers it."""

from pathlib import Path

from tests.layout import Layout

ROOT = Path(__file__).parents[1]
CONFORMANCE = "tests/hub/stores/conformance/"

COVERED_BY: dict[str, tuple[str, ...]] = {
    # Declarations.
    "hub/findings.py": ("tests/hub/cli/test_checks.py",),
    "hub/models.py": ("tests/hub/stores/test_stored.py", "tests/hub/dispatch/test_transitions.py"),
    "hub/catalogue/event_types/model.py": ("tests/hub/catalogue/event_types/test_service.py",),
    "hub/catalogue/keys/model.py": ("tests/hub/catalogue/keys/test_service.py",),
    "hub/catalogue/subscriptions/model.py": ("tests/hub/catalogue/subscriptions/test_codec.py",),
    "hub/cluster/roles.py": ("tests/hub/runtime/test_process.py",),
    "hub/stores/options.py": ("tests/hub/stores/redis/test_accepting.py", "tests/hub/stores/sqlite/test_durability.py"),
    # One function, or one call passed on.
    "hub/dispatch/events.py": ("tests/hub/dispatch/test_deliveries.py",),
    "hub/tasks/saving.py": ("tests/hub/tasks/test_runner.py", "tests/hub/tasks/test_recovery.py"),
    # What every store has to keep is tested once, for all of them.
    "hub/stores/base/": (CONFORMANCE,),
    "hub/stores/documents.py": (CONFORMANCE,),
    "hub/stores/process/": (CONFORMANCE,),
    "hub/stores/redis/": (CONFORMANCE, "tests/hub/stores/redis/"),
    "hub/stores/sqlite/": (CONFORMANCE,),
}
"""By module; or by folder, for all in it that have no test of their own. For declarations, contracts, and modules that
have no rule of their own: where there is one, write the test."""

WHOLE_ROOM: dict[str, str] = {
    "tests/channels/test_contract.py": "what every channel keeps, also one that another distribution adds",
    "tests/hub/stores/sqlite/test_durability.py": "what was acknowledged is on disk: all modules of the store together",
}
"""Tests of what no single module does, each with what that is."""


def test_each_module_has_its_test_or_a_line_and_each_test_its_module() -> None:
    assert Layout(ROOT).problems(COVERED_BY, WHOLE_ROOM) == []
