"""The contract of channels as a third party runs it: with the channel and the test file of the guide."""

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from hub.testing.channels import secrets_in
from tests.hub.testing.my_package import TIME_LIMIT, code_blocks, install, run_pytest

CHANNEL, TEST_FILE = code_blocks("add-a-channel.md")
ENTRY_POINT = "{0} = my_package.{0}:MatrixChannel\n"
SEND = "return receipt(await deliver(self.context.http, request), message.sent_at, secrets=[token])"
REFUSED = "test_a_refused_send_is_one_try_and_its_error_has_no_secret"
BROKEN = {
    "sends_twice": (
        (SEND, f"await deliver(self.context.http, request)\n        {SEND}"),
        {
            "test_a_send_is_one_arrival_and_a_receipt[sends_twice-0]",
            "test_a_test_is_sent_as_any_message[sends_twice-0]",
            "test_many_sends_at_once_all_arrive[sends_twice-0]",
            f"{REFUSED}[sends_twice-0]",
        },
    ),
    "hides_failures": (
        (SEND, "await deliver(self.context.http, request)\n        return Receipt()"),
        {f"{REFUSED}[hides_failures-0]"},
    ),
    "repeats_secrets": ((", secrets=[token]", ""), {f"{REFUSED}[repeats_secrets-0]"}),
    "has_no_example": (
        ('"examples"', '"example"'),
        {"test_its_target_takes_no_unknown_member_cannot_change_and_has_examples[has_no_example]"},
    ),
}
"""By kind: what of the guide's channel is replaced, and the tests that find it."""


class Account(BaseModel):
    name: str
    password: SecretStr
    headers: dict[str, SecretStr]
    previous: tuple["Account", ...] = ()


def test_the_secrets_of_a_target_are_found_wherever_they_are() -> None:
    old = Account(name="old", password=SecretStr("1"), headers={})
    new = Account(name="new", password=SecretStr("2"), headers={"key": SecretStr("3")}, previous=(old,))
    assert sorted(secrets_in(new)) == ["1", "2", "3"]


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.process
def test_the_channel_of_the_guide_keeps_the_contract_in_the_test_file_of_the_guide(tmp_path: Path) -> None:
    install(tmp_path, {"matrix": CHANNEL}, "[hub.channels]\n" + ENTRY_POINT.format("matrix"))
    run = run_pytest(tmp_path, {"test_matrix": TEST_FILE})
    assert (run.passed, run.failed) == (25, set()), run.text


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.process
def test_channels_that_break_a_promise_are_found(tmp_path: Path) -> None:
    channels = {
        kind: CHANNEL.replace(*change).replace('kind = "matrix"', f'kind = "{kind}"')
        for kind, (change, _) in BROKEN.items()
    }
    install(tmp_path, channels, "[hub.channels]\n" + "".join(map(ENTRY_POINT.format, channels)))
    run = run_pytest(
        tmp_path, {f"test_{kind}": TEST_FILE.replace("my_package.matrix", f"my_package.{kind}") for kind in channels}
    )
    assert run.failed == {(f"test_{kind}", test) for kind, (_, tests) in BROKEN.items() for test in tests}, run.text
    # The assertions are rewritten: they show what was there.
    assert "assert 2 == 1" in run.text


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.process
def test_a_channel_that_the_hub_would_not_find_is_found(tmp_path: Path) -> None:
    install(tmp_path, {"matrix": CHANNEL})
    run = run_pytest(tmp_path, {"test_matrix": TEST_FILE}, "-k", "by_its_kind")
    assert run.failed == {("test_matrix", "test_the_hub_finds_it_by_its_kind[matrix]")}, run.text
    assert "its package declares no entry point of hub.channels" in run.text
