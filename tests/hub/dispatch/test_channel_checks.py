"""Every channel and the targets of its subscriptions are checked at once, and no defect of one hides another."""

from typing import Any

import pytest

from channels.base import Channel, ChannelContext, Message, Receipt, SendFailed, TargetModel
from hub.dispatch.channel_checks import MAX_TARGETS, ChannelProblem, check_channels
from tests.api_support import Api


class ProbedChannel(Channel[TargetModel]):
    kind = "file"
    Target = TargetModel

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        self.failure: Exception | None = None
        self.asked = 0

    async def send(self, message: Message, target: TargetModel) -> Receipt:
        return Receipt()

    async def check(self, target: TargetModel | None) -> None:
        self.asked += 1
        if self.failure is not None and target is not None:
            raise self.failure


@pytest.fixture
def channel(api: Api) -> ProbedChannel:
    return ProbedChannel(api.process.core.channels["file"].context)


@pytest.mark.parametrize(
    ("failure", "detail"),
    [(SendFailed("the token is revoked"), "the token is revoked"), (KeyError("x"), "its check failed: KeyError")],
)
async def test_a_problem_names_its_subscription(
    api: Api, channel: ProbedChannel, failure: Exception, detail: str
) -> None:
    made = await api.subscribe()
    channel.failure = failure
    (found,) = await check_channels({"file": channel}, api.process.core.catalogue)
    assert (found.kind, found.subscriptions) == ("file", 1)
    assert found.problems == [ChannelProblem(detail, made["id"])]


async def test_only_so_many_targets_are_asked_and_none_that_is_disabled(api: Api, channel: ProbedChannel) -> None:
    await api.subscribe(enabled=False)
    for _ in range(MAX_TARGETS + 1):
        await api.subscribe()
    (found,) = await check_channels({"file": channel}, api.process.core.catalogue)
    assert (found.subscriptions, channel.asked) == (MAX_TARGETS + 1, MAX_TARGETS + 1)


async def test_without_a_catalogue_the_settings_alone_are_checked(channel: ProbedChannel) -> None:
    channels: dict[str, Channel[Any]] = {"file": channel}
    (found,) = await check_channels(channels, None)
    assert (found.subscriptions, found.problems, channel.asked) == (0, [], 1)
