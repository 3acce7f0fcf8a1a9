"""The contract of channels as a third party runs it: with the channel and the test file of the guide."""

from pathlib import Path

import pytest

from tests.hub.testing.my_package import code_blocks, install, run_pytest

pytestmark = pytest.mark.process

CHANNEL, TEST_FILE = code_blocks("add-a-channel.md")
ENTRY_POINTS = "[hub.channels]\nmatrix = my_package.matrix:MatrixChannel\n"


def test_the_channel_of_the_guide_keeps_the_contract_by_the_test_file_of_the_guide(tmp_path: Path) -> None:
    install(tmp_path, {"matrix": CHANNEL}, ENTRY_POINTS)
    run = run_pytest(tmp_path, TEST_FILE)
    assert run.counts == {"passed": 16}, run.text


@pytest.mark.parametrize(
    ("kept", "broken", "test"),
    [
        (
            "        return receipt(",
            "        await deliver(self.context.http, request)\n        return receipt(",
            "test_a_send_is_one_arrival_and_a_receipt",
        ),
        ("access_token: SecretStr", "access_token: str", "test_its_target_shows_no_secret"),
        ("{{ type }}: {{ subject }}", "{{ data.order.id | money }}", "test_its_default_template_renders"),
        (
            "        room = quote",
            "        self.context.cache = target\n        room = quote",
            "test_many_sends_at_once",
        ),
    ],
    ids=["sends twice", "shows its secret", "needs an order", "fails"],
)
def test_a_channel_that_breaks_a_promise_is_found(tmp_path: Path, kept: str, broken: str, test: str) -> None:
    assert kept in CHANNEL
    install(tmp_path, {"matrix": CHANNEL.replace(kept, broken)}, ENTRY_POINTS)
    run = run_pytest(tmp_path, TEST_FILE, "-k", test)
    assert run.counts.get("failed"), run.text


def test_a_channel_that_is_not_declared_is_found(tmp_path: Path) -> None:
    install(tmp_path, {"matrix": CHANNEL})
    run = run_pytest(tmp_path, TEST_FILE)
    assert run.counts == {"passed": 15, "failed": 1}, run.text
    assert "its package declares no entry point of hub.channels" in run.text
