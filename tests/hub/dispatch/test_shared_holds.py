"""What is held is shown as the processes that deliver know it."""

import asyncio
from typing import Any

import msgspec

from channels.base import ChannelUnavailable
from hub.dispatch.holds import MAX_TOLD, HoldReport, Holds
from hub.dispatch.shared_holds import REPORT_SECONDS, SETTLE_SECONDS, SharedHolds
from hub.testing.clock import START
from tests.hub.dispatch.parts import Parts, ScriptedChannel, take


def web_beside(parts: Parts) -> tuple[ScriptedChannel, Holds, SharedHolds]:
    """What a process with other settings knows, on the store and the catalogue of the parts."""
    channel = ScriptedChannel(take)
    holds = Holds({"scripted": channel}, sandbox=False)
    return channel, holds, SharedHolds(holds, parts.catalogue, parts.store.reports, "web", parts.clock)


async def tell(parts: Parts, name: str = "worker", **changes: Any) -> None:
    report = parts.sender.holds.report(parts.catalogue.every_subscription(), parts.catalogue.version)
    report = msgspec.structs.replace(report, **changes)
    await parts.store.reports.put(name, msgspec.json.encode(report), REPORT_SECONDS)


async def test_what_those_who_deliver_tell_counts_and_not_the_settings_here(parts: Parts) -> None:
    subscription = await parts.subscribe()
    channel, holds, shared = web_beside(parts)
    channel.missing = "HUB_SCRIPTED_KEY is not set here"
    assert holds.reason(subscription) == "HUB_SCRIPTED_KEY is not set here"
    await tell(parts)
    await shared.read()
    assert holds.reason(subscription) is None
    assert holds.warnings([subscription]) == []
    channel.missing, parts.channel.missing = None, "HUB_SCRIPTED_KEY is not set there"
    await tell(parts)
    await shared.read()
    assert holds.reason(subscription) == "HUB_SCRIPTED_KEY is not set there"
    assert holds.held([subscription]) == {subscription.id}


async def test_one_process_with_the_right_settings_is_enough_and_a_refusal_is_for_all(parts: Parts) -> None:
    subscription = await parts.subscribe()
    _, holds, shared = web_beside(parts)
    await tell(parts, "one", misconfigured={subscription.id: "a"})
    await tell(parts, "two")
    await shared.read()
    assert holds.reason(subscription) is None
    parts.sender.holds.learn(subscription, ChannelUnavailable("the key is refused"), START)
    await tell(parts, "two")
    await shared.read()
    assert holds.reason(subscription) == "the key is refused"


async def test_a_report_counts_for_a_while_and_not_for_what_was_written_later(parts: Parts) -> None:
    former = await parts.subscribe()
    channel, holds, shared = web_beside(parts)
    channel.missing = "here"
    await tell(parts)
    later = await parts.subscribe()
    await shared.read()
    assert [holds.reason(one) for one in (former, later)] == [None, "here"]
    parts.clock.advance(REPORT_SECONDS)
    await shared.read()
    assert holds.reason(former) == "here"


async def test_the_answer_to_a_write_waits_for_those_who_deliver_and_not_for_long(parts: Parts) -> None:
    channel, _, shared = web_beside(parts)
    channel.missing = "here"
    assert await shared.settled(await parts.subscribe()) == "here"
    await tell(parts)
    await shared.read()
    written = await parts.subscribe()
    waiting = asyncio.create_task(shared.settled(written))
    await parts.clock.elapse(1)
    assert not waiting.done()
    await tell(parts)
    await parts.clock.elapse(1)
    assert await waiting is None
    unheard = asyncio.create_task(shared.settled(await parts.subscribe()))
    await parts.clock.elapse(SETTLE_SECONDS + 1)
    assert await unheard == "here"


async def test_a_report_names_a_bounded_number_and_says_nothing_of_the_rest(parts: Parts) -> None:
    subscription = await parts.subscribe()
    parts.channel.missing = "m" * 10_000
    many = [subscription] * MAX_TOLD
    assert len(parts.sender.holds.report(many, 9).misconfigured[subscription.id]) < 1_000
    full = HoldReport(9, {str(number): "a" for number in range(MAX_TOLD)}, is_cut=True)
    assert not full.speaks_of(subscription)


async def test_what_another_version_told_is_passed_over(parts: Parts) -> None:
    await parts.store.reports.put("newer", b'{"version":"two"}', REPORT_SECONDS)
    _, holds, shared = web_beside(parts)
    await shared.read()
    assert holds.told == []


async def test_a_sandbox_elsewhere_is_told(parts: Parts) -> None:
    _, holds, shared = web_beside(parts)
    await tell(parts, sandbox=True)
    await shared.read()
    assert "HUB_SANDBOX" in holds.warnings([])[0]
