import json
from typing import Any

import pytest
from pydantic import ValidationError

from channels.base import SendFailed
from channels.block_kit import MAX_BLOCKS
from channels.slack import SlackChannel, SlackTarget
from hub.testing.messages import MESSAGE, message
from hub.testing.receivers import Receiver, Reply
from tests.channels.conftest import MakeContext


def hook(receiver: Receiver) -> SlackTarget:
    return SlackTarget.model_validate({"webhook_url": receiver.url + "/services/T0/B0/canary"})


BOT = SlackTarget.model_validate({"bot_token": "xoxb-canary", "channel": "C1"})


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


async def test_an_incoming_webhook_gets_text_and_blocks(make_context: MakeContext) -> None:
    async with Receiver([Reply(200, "ok")]) as receiver:
        receipt = await SlackChannel(make_context()).send(MESSAGE, hook(receiver))
    (arrival,) = receiver.requests
    assert (receipt.status_code, receipt.response_body) == (200, "ok")
    assert arrival.path == "/services/T0/B0/canary"
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.json() == {"text": "Order 1001", "blocks": MESSAGE.content["blocks"]}


async def test_a_bot_posts_to_its_channel(make_context: MakeContext) -> None:
    async with Receiver([Reply(200, '{"ok":true,"ts":"1.2"}')]) as receiver:
        receipt = await SlackChannel(make_context(slack_api_url=receiver.url + "/api/")).send(MESSAGE, BOT)
    (arrival,) = receiver.requests
    assert receipt.response_body == '{"ok":true,"ts":"1.2"}'
    assert arrival.path == "/api/chat.postMessage"
    assert arrival.headers["authorization"] == "Bearer xoxb-canary"
    assert arrival.json() == {"channel": "C1", "text": "Order 1001", "blocks": MESSAGE.content["blocks"]}


@pytest.mark.parametrize(
    ("status", "body", "permanent"),
    [
        (200, "invalid_payload", True),
        (400, "invalid_payload", True),
        (400, "no_text", True),
        (403, "action_prohibited", True),
        (403, "invalid_token", True),
        (404, "no_service", True),
        (404, "channel_not_found", True),
        (410, "channel_is_archived", True),
        (302, "", False),
        (500, "rollup_error", False),
        (503, "", False),
    ],
)
async def test_an_incoming_webhooks_answers_are_classified(
    make_context: MakeContext, status: int, body: str, permanent: bool
) -> None:
    async with Receiver([Reply(status, body)]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await SlackChannel(make_context()).send(MESSAGE, hook(receiver))
    assert len(receiver.requests) == 1
    assert (caught.value.permanent, caught.value.status_code) == (permanent, status)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        *((word, True) for word in ("invalid_auth", "channel_not_found", "is_archived", "not_in_channel")),
        *((word, True) for word in ("token_revoked", "account_inactive", "no_text", "invalid_blocks", "msg_too_long")),
        *((word, False) for word in ("ratelimited", "internal_error", "fatal_error", "service_unavailable")),
        *((word, False) for word in ("request_timeout", "team_added_to_org", "a_word_of_tomorrow", "")),
    ],
)
async def test_a_bots_answers_are_classified(make_context: MakeContext, error: str, permanent: bool) -> None:
    async with Receiver([Reply(200, json.dumps({"ok": False, "error": error}))]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await SlackChannel(make_context(slack_api_url=receiver.url)).send(MESSAGE, BOT)
    assert caught.value.permanent == permanent
    assert error in caught.value.detail


async def test_a_bots_refusal_without_a_known_word_is_a_failure_that_may_pass(make_context: MakeContext) -> None:
    async with Receiver([Reply(200, '{"ok":false,"error":["x"]}')]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await SlackChannel(make_context(slack_api_url=receiver.url)).send(MESSAGE, BOT)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '{"success":true}'),  # Rocket.Chat
        (200, "OK"),
        (200, ""),
        (204, ""),
        (200, "\xff"),
        (200, "[]"),
        (200, "null"),
        (200, "{"),
        (201, '{"ok":1}'),
        (202, "accepted"),
    ],
)
async def test_a_server_that_takes_the_message_in_other_words_has_taken_it(
    make_context: MakeContext, status: int, body: str
) -> None:
    async with Receiver([Reply(status, body)] * 2) as receiver:
        channel = SlackChannel(make_context(slack_api_url=receiver.url))
        for target in (hook(receiver), BOT):
            receipt = await channel.send(MESSAGE, target)
            assert (receipt.status_code, receipt.response_body or "") == (status, body)


async def test_429_carries_the_delay_that_is_asked_for(make_context: MakeContext) -> None:
    async with Receiver([Reply(429, "rate_limited", {"Retry-After": "30"})] * 2) as receiver:
        channel = SlackChannel(make_context(slack_api_url=receiver.url))
        for target in (hook(receiver), BOT):
            with pytest.raises(SendFailed) as caught:
                await channel.send(MESSAGE, target)
            assert (caught.value.retry_after, caught.value.permanent) == (30.0, False)


async def test_an_echoed_secret_is_masked(make_context: MakeContext) -> None:
    async with Receiver(lambda arrival: Reply(500, f"{arrival.headers.get('authorization')}")) as receiver:
        with pytest.raises(SendFailed) as caught:
            await SlackChannel(make_context(slack_api_url=receiver.url)).send(MESSAGE, BOT)
    assert caught.value.response_body == "Bearer **********"


async def sent(make_context: MakeContext, **content: Any) -> Any:
    async with Receiver([Reply(200, "ok")]) as receiver:
        await SlackChannel(make_context()).send(message(content=content), hook(receiver))
    return receiver.requests[0].json()


async def test_text_over_the_limit_is_cut_and_no_entity_is_halved(make_context: MakeContext) -> None:
    payload = await sent(make_context, text="x" * 39_996 + "&amp;&amp;")
    assert payload["text"] == "x" * 39_996 + "…"


async def test_beside_blocks_the_text_is_short_enough_for_a_notification(make_context: MakeContext) -> None:
    payload = await sent(make_context, text="x" * 5_000, blocks=[section("a")])
    assert payload["text"] == "x" * 3_999 + "…"


async def test_blocks_over_the_limits_are_cut(make_context: MakeContext) -> None:
    fields = [{"type": "mrkdwn", "text": "f" * 2_001}] * 12
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "h" * 200}},
        section("s" * 4_000),
        {"type": "section", "fields": fields},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "c"}] * 12},
        *[section("more")] * 60,
    ]
    payload = await sent(make_context, text="t", blocks=blocks)
    header, body, two_columns, context, *rest = payload["blocks"]
    assert header["text"]["text"] == "h" * 149 + "…"
    assert body["text"]["text"] == "s" * 2_999 + "…"
    assert [len(field["text"]) for field in two_columns["fields"]] == [2_000] * 10
    assert len(context["elements"]) == 10
    assert len(rest) == 46


async def test_blocks_that_came_out_empty_are_left_out(make_context: MakeContext) -> None:
    empty: dict[str, Any] = {"type": "mrkdwn", "text": " "}
    image = {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"}
    blocks = [
        section(" \n"),
        {"type": "section", "fields": [empty, empty]},
        {"type": "context", "elements": [empty]},
        {"type": "section", "text": empty, "fields": [{"type": "mrkdwn", "text": "kept"}]},
        {"type": "divider"},
        {"type": "context", "elements": [image]},
    ]
    payload = await sent(make_context, text="t", blocks=blocks)
    assert payload["blocks"] == [
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "kept"}]},
        {"type": "divider"},
        {"type": "context", "elements": [image]},
    ]


async def test_a_test_is_marked_in_the_notification_and_above_the_blocks(make_context: MakeContext) -> None:
    async with Receiver([Reply(200, "ok")] * 2) as receiver:
        channel = SlackChannel(make_context())
        for content in ({"text": "Order", "blocks": [section("a")] * MAX_BLOCKS}, {"text": "Order"}):
            await channel.send(message(content=content, test=True), hook(receiver))
    with_blocks, with_text = (arrival.json() for arrival in receiver.requests)
    assert with_blocks["text"] == with_text["text"] == "[test] Order"
    mark = {"type": "context", "elements": [{"type": "mrkdwn", "text": "*[test]*"}]}
    assert (with_blocks["blocks"][0], len(with_blocks["blocks"])) == (mark, MAX_BLOCKS)
    assert "blocks" not in with_text


@pytest.mark.parametrize("url", ["slack.example/api", "https://sl ack.example", "https://["])
def test_a_wrong_address_of_slacks_api_is_named_and_stops_no_webhook(make_context: MakeContext, url: str) -> None:
    channel = SlackChannel(make_context(slack_api_url=url))
    assert (channel.unavailable(BOT) or "").startswith("HUB_SLACK_API_URL must")
    webhook = SlackTarget.model_validate({"webhook_url": "https://hooks.slack.com/services/T0/B0/canary"})
    assert channel.unavailable(webhook) is None
    assert SlackChannel(make_context()).unavailable(BOT) is None


async def test_a_message_without_anything_to_say_is_not_posted(make_context: MakeContext) -> None:
    async with Receiver() as receiver:
        with pytest.raises(SendFailed) as caught:
            await SlackChannel(make_context()).send(message(content={"text": " ", "blocks": []}), hook(receiver))
    assert caught.value.permanent
    assert receiver.requests == []


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"webhook_url": "https://hooks.slack.com/x", "bot_token": "xoxb", "channel": "C1"},
        {"webhook_url": "https://hooks.slack.com/x", "channel": "C1"},
        {"bot_token": "xoxb"},
        {"channel": "C1"},
        {"webhook_url": "ftp://hooks.slack.com/canary"},
        {"bot_token": "canary\r\nX: y", "channel": "C1"},
        {"bot_token": "", "channel": "C1"},
        {"bot_token": "canary", "channel": ""},
    ],
)
def test_a_target_is_one_way_exactly_and_its_errors_repeat_nothing(target: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        SlackTarget.model_validate(target)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Reply(200, '{"ok":true}'), None),
        (Reply(200, '{"ok":false,"error":"token_revoked"}'), "Slack answered token_revoked about the bot's token"),
        (Reply(503, "xoxb-canary"), "Slack answered 503 Service Unavailable about the bot's token"),
    ],
)
async def test_a_token_is_checked_without_a_message(
    make_context: MakeContext, answer: Reply, problem: str | None
) -> None:
    found = None
    async with Receiver([answer]) as receiver:
        channel = SlackChannel(make_context(slack_api_url=receiver.url))
        await channel.check(None)
        await channel.check(hook(receiver))
        try:
            await channel.check(BOT)
        except SendFailed as failed:
            found = failed.detail
    assert (found, [arrival.path for arrival in receiver.requests]) == (problem, ["/auth.test"])
