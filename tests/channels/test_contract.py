"""Every channel of the package keeps the contract, also one whose author has written no test."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from channels import load_channels
from hub.testing.channels import ChannelContract, HttpDestination
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.smtp import MailServer


class World(HttpDestination):
    """Everything that a channel of the package may send to, in one place."""

    def __init__(self, receiver: Receiver, mail: MailServer, files: Path) -> None:
        super().__init__(receiver)
        self.mail = mail
        self._files = files

    def arrivals(self) -> int:
        lines = sum(len(file.read_bytes().splitlines()) for file in self._files.glob("*/*"))
        return super().arrivals() + len(self.mail.mails) + lines

    def refuse(self) -> None:
        super().refuse()
        self.mail.data_answers = ["451 Not now"]
        self._files.touch()


def agree(arrival: Arrival) -> Reply:
    return Reply(200, '{"ok":true}' if "api" in arrival.path else "ok")


class TestChannel(ChannelContract):
    """The channels that a hub has of its own."""

    channels = tuple(load_channels().values())
    secrets = ("XXXX", "canary")

    @pytest.fixture
    async def destination(self, tmp_path: Path) -> AsyncIterator[World]:
        async with Receiver(agree) as receiver, MailServer() as mail:
            yield World(receiver, mail, tmp_path / "files")

    @pytest.fixture
    def options(self, destination: World) -> Mapping[str, str]:
        return {
            "smtp_url": destination.mail.url,
            "email_from": "hub@example.com",
            "slack_api_url": f"{destination.url}/api",
        }
