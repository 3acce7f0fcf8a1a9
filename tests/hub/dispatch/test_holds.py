"""What is held and why, from the settings of the process and from what providers answer."""

from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from channels.base import ChannelUnavailable, TargetModel
from hub.dispatch.holds import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, SANDBOX, Holds
from hub.testing.clock import START
from hub.testing.receivers import Receiver, Reply
from tests.api_support import open_api, settings_for
from tests.hub.dispatch.parts import Parts, ScriptedChannel, take
from tests.smtp import MailServer

REFUSED = ChannelUnavailable("the key is refused")


async def test_the_reason_is_that_of_the_subscription_first(parts: Parts) -> None:
    holds = parts.sender.holds
    enabled, disabled = await parts.subscribe(), await parts.subscribe(enabled=False)
    assert (holds.reason(enabled), holds.unavailable(enabled)) == (None, None)
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert holds.reason(enabled) == "HUB_SCRIPTED_KEY is not set"
    assert holds.reason(disabled) == "the subscription is disabled: disabled on request"
    assert holds.unavailable(disabled) == "HUB_SCRIPTED_KEY is not set"


async def test_a_refusal_is_forgotten_when_a_message_is_taken_or_the_subscription_changes(parts: Parts) -> None:
    holds = parts.sender.holds
    subscription = await parts.subscribe()
    with capture_logs() as lines:
        for _ in range(3):
            holds.learn(subscription, REFUSED, START)
        assert holds.reason(subscription) == "the key is refused"
        for _ in range(2):
            holds.learn(subscription, None, START)
        assert holds.reason(subscription) is None
    assert [line["event"] for line in lines] == ["subscription.held", "subscription.released"]
    holds.learn(subscription, REFUSED, START)
    await parts.subscriptions.disable(subscription.tenant, subscription.id, "to change it")
    changed = await parts.subscriptions.enable(subscription.tenant, subscription.id)
    assert holds.reason(changed) is None


async def test_the_pause_grows_with_each_refusal_and_not_with_those_at_once(parts: Parts) -> None:
    holds, at = parts.sender.holds, START
    subscription = await parts.subscribe()
    pauses = []
    for _ in range(5):
        for _ in range(10):
            holds.learn(subscription, REFUSED, at)
        pauses.append(holds.pause_seconds(subscription))
        at += timedelta(seconds=pauses[-1])
    assert pauses == [FIRST_PAUSE_SECONDS, 20.0, 40.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    holds.learn(subscription, None, at)
    assert holds.pause_seconds(subscription) == FIRST_PAUSE_SECONDS


async def test_a_channel_that_fails_to_say_whether_it_can_send_is_asked_to(parts: Parts) -> None:
    class Defective(ScriptedChannel):
        def unavailable(self, target: TargetModel) -> str | None:
            raise ZeroDivisionError

    holds = Holds({"scripted": Defective(take)}, sandbox=False)
    with capture_logs() as lines:
        assert holds.reason(await parts.subscribe()) is None
    assert [line["event"] for line in lines] == ["channel.crashed"]


async def test_warnings_count_the_subscriptions_that_each_reason_holds(parts: Parts) -> None:
    holds = parts.sender.holds
    refused = await parts.subscribe()
    assert holds.warnings(parts.catalogue.every_subscription()) == []
    holds.learn(refused, REFUSED, START)
    assert holds.warnings(parts.catalogue.every_subscription()) == [
        "Deliveries of 1 subscription to scripted are held: the key is refused."
    ]
    await parts.subscribe()
    await parts.subscribe(enabled=False)
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert holds.warnings(parts.catalogue.every_subscription()) == [
        "Deliveries of 2 subscriptions to scripted are held: HUB_SCRIPTED_KEY is not set."
    ]


async def test_mail_waits_for_the_settings_and_flows_after_a_restart_with_them(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        made = await api.subscribe(channel="email", target={"to": ["ann@example.com"]}, retry_schedule=[])
        assert made["unavailable"] == "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
        await api.publish()
        (held,) = await api.deliveries("held")
        assert (held["reason"], held["attempt_count"]) == (made["unavailable"], 0)
        assert (await api.admin.get("/readyz")).json()["warnings"] == [
            f"Deliveries of 1 subscription to email are held: {made['unavailable']}."
        ]
        tried = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
        assert (tried["outcome"], tried["error"]) == ("failed", made["unavailable"])
    async with MailServer() as server:
        options = {"smtp_url": server.url, "email_from": "shop@example.com"}
        async with open_api(settings_for(tmp_path, channel_options=options)) as api:
            (delivered,) = await api.deliveries("delivered")
            shown = (await api.admin.get(f"/v1/subscriptions/{made['id']}")).json()
            assert (delivered["attempt_count"], shown["unavailable"]) == (1, None)
            assert (await api.admin.get("/readyz")).json() == {"status": "ready"}
    assert len(server.mails) == 1


async def test_mail_waits_while_the_provider_refuses_the_key_and_flows_when_it_takes_it(tmp_path: Path) -> None:
    async with Receiver(lambda _: Reply(401, '{"message":"no"}')) as provider:
        options = {
            "email_provider": "postmark",
            "postmark_server_token": "a-token",
            "postmark_api_url": provider.url,
            "email_from": "shop@example.com",
        }
        async with open_api(settings_for(tmp_path, channel_options=options)) as api:
            made = await api.subscribe(channel="email", target={"to": ["ann@example.com"]}, retry_schedule=[])
            assert made["unavailable"] is None
            for _ in range(3):
                await api.publish()
            held = await api.deliveries("held", 3)
            assert {delivery["attempt_count"] for delivery in held} == {0}
            assert all("postmark answered 401" in delivery["reason"] for delivery in held)
            (warning,) = (await api.admin.get("/readyz")).json()["warnings"]
            assert "HUB_POSTMARK_SERVER_TOKEN" in warning
            asked = len(provider.requests)
            api.clock.advance(FIRST_PAUSE_SECONDS)
            await provider.arrived(asked + 1)
            assert await api.deliveries("held", 3)
            assert len(provider.requests) == asked + 1, "one delivery is tried at a time"
            provider.script = ()
            api.clock.advance(2 * FIRST_PAUSE_SECONDS)
            delivered = await api.deliveries("delivered", 3)
            assert {delivery["attempt_count"] for delivery in delivered} == {1}
            assert (await api.admin.get("/readyz")).json() == {"status": "ready"}


async def test_in_a_sandbox_all_ends_well_and_nothing_is_sent(tmp_path: Path) -> None:
    async with Receiver() as receiver, open_api(settings_for(tmp_path, sandbox=True)) as api:
        for channel, target in {
            "webhook": {"url": receiver.url},
            "slack": {"webhook_url": f"{receiver.url}/services/T0/B0/x"},
            "email": {"to": ["ann@example.com"]},
            "file": {"name": "all"},
        }.items():
            made = await api.subscribe(channel=channel, target=target)
            assert made["unavailable"] is None
            tried = (await api.admin.post(f"/v1/subscriptions/{made['id']}/test")).json()
            assert (tried["outcome"], tried["response_body"]) == ("succeeded", SANDBOX)
        await api.publish()
        for delivery in await api.deliveries("delivered", 4):
            (attempt,) = (await api.admin.get(f"/v1/deliveries/{delivery['id']}")).json()["attempts"]
            assert (attempt["outcome"], attempt["response_body"]) == ("succeeded", "sandbox: not sent")
            assert attempt["status_code"] is None
        (warning,) = (await api.admin.get("/readyz")).json()["warnings"]
        assert "HUB_SANDBOX" in warning
    assert receiver.requests == []
    assert not (tmp_path / "var" / "files").exists()


async def test_a_sandbox_holds_nothing_but_what_is_disabled_and_says_what_it_is(parts: Parts) -> None:
    channel = ScriptedChannel(take)
    channel.missing = "HUB_SCRIPTED_KEY is not set"
    holds = Holds({"scripted": channel}, sandbox=True)
    enabled, disabled = await parts.subscribe(), await parts.subscribe(enabled=False)
    assert holds.reason(enabled) is None
    assert holds.reason(disabled) is not None
    (warning,) = holds.warnings([enabled])
    assert warning.startswith("HUB_SANDBOX is set")
