"""The command as a whole: its version, and how it fails."""

from importlib.metadata import version

import pytest

from tests.hub.cli.commands import Hub, Ran


def test_the_version_is_printed(hub: Hub) -> None:
    assert hub("--version") == Ran(0, f"hub {version('notification-hub')}\n", "")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["publish", "order.created"], "Missing option '--data'"),
        (["publish", "order.created", "--data", "{"], "--data is not JSON"),
        (["replay"], "Missing argument 'DELIVERY_ID'"),
        (["publish", "order.created", "--data", "@missing.json"], "cannot be read: missing.json: No such file"),
        (["publish"], "See `hub publish --help`."),
        (["keys", "create", "shop", "--scope", "fly"], "'-s': 'fly' is not one of"),
        (["keys", "create", "shop", "--scope", "fly"], "See `hub keys create --help`."),
        (["tail", "--count", "0"], "--count"),
        (["serve", "--port", "70000"], "--port"),
        (["keys", "list", "--url", "nowhere"], "must look like http://127.0.0.1:8000"),
        (["keys", "list", "--url", "http://127.0.0.1:1"], "start one with `hub serve`"),
        (["tail", "--url", "http://127.0.0.1:1"], "start one with `hub serve`"),
        (["nonsense"], "No such command 'nonsense'. See `hub --help`."),
        (["play"], "Did you mean 'replay'? See `hub --help`."),
        (["tail", "order.paid"], "extra argument(s) (order.paid). See `hub tail --help`."),
        (["tail", "--since", "yesterday"], "must be a cursor"),
    ],
)
def test_every_failure_is_one_line_and_a_status(hub: Hub, arguments: list[str], complaint: str) -> None:
    ran = hub(*arguments)
    assert ran.status != 0
    assert ran.out == ""
    assert ran.err.startswith("hub: ")
    assert ran.err.count("\n") == 1
    assert complaint in ran.err
