"""One event from its publisher to every kind of receiver, as all who take part see it."""

import json
from base64 import b64decode
from email.message import EmailMessage
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from hub.testing.receivers import Arrival, Receiver, Reply
from tests.e2e.tenant import ORDER, Tenant
from tests.faults.hub import Hub, hub_on
from tests.redis_servers import RedisServer
from tests.smtp import MailServer


def verified(arrival: Arrival, secret: str) -> object:
    """The body of a webhook as the vendor-neutral library gives it, signature checked."""
    headers = {name.lower(): value for name, value in arrival.headers.items()}
    return Webhook(secret).verify(arrival.body, headers)


async def test_an_order_reaches_a_webhook_that_verifies_it_and_is_watched_live(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url}, event_types=["order.*"])
        async with tenant.listening() as stream:
            accepted = await tenant.call(
                "POST", "/v1/orders/1001/events", json={"type": "order.created", "data": ORDER}
            )
            (arrival,) = await receiver.arrived()
            told = [await anext(stream) for _ in range(3)]
        secret = (await tenant.call("GET", f"/v1/subscriptions/{subscription}/secret"))["secret"]
    assert arrival.headers["webhook-id"] == accepted["id"]
    body = verified(arrival, secret)
    assert body == {"type": "order.created", "timestamp": arrival.json()["timestamp"], "data": ORDER}
    assert [event.event for event in told] == ["event.accepted", "delivery.attempted", "delivery.delivered"]
    assert [int(event.id) for event in told] == sorted(int(event.id) for event in told)
    assert told[0].json()["subject"] == "orders/1001"
    delivery = await tenant.delivery(accepted["id"])
    assert told[2].json() == {name: value for name, value in delivery.items() if name != "attempts"}
    (attempt,) = delivery["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["status_code"]) == (1, "succeeded", 200)
    event = await tenant.call("GET", f"/v1/events/{accepted['id']}")
    assert event["deliveries"] == {"delivered": 1}
    assert event["data"] == ORDER


async def test_during_a_rotation_messages_carry_the_signatures_of_both_secrets(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        subscription = await tenant.subscribe("webhook", {"url": receiver.url})
        old = (await tenant.call("GET", f"/v1/subscriptions/{subscription}/secret"))["secret"]
        rotated = await tenant.call(
            "POST", f"/v1/subscriptions/{subscription}/rotate-secret", json={"grace_seconds": 60}
        )
        await tenant.publish(data={"n": 1})
        await receiver.arrived(1)
        newest = await tenant.call("POST", f"/v1/subscriptions/{subscription}/rotate-secret", json={"grace_seconds": 0})
        await tenant.publish(data={"n": 2})
        during, after = await receiver.arrived(2)
    assert len(during.headers["webhook-signature"].split()) == 2
    for secret in (old, rotated["secret"]):
        verified(during, secret)
    verified(after, newest["secret"])
    with pytest.raises(WebhookVerificationError):
        verified(after, rotated["secret"])


async def test_an_order_becomes_a_slack_message_with_nothing_configured(tenant: Tenant) -> None:
    async with Receiver([Reply(body="ok")]) as slack:
        await tenant.subscribe("slack", {"webhook_url": f"{slack.url}/services/T0/B0/canary"})
        event_id = await tenant.publish("order.created", ORDER)
        (arrival,) = await slack.arrived()
        delivery = await tenant.delivery(event_id)
    message = arrival.json()
    assert "1001" in message["text"]
    shown = json.dumps(message["blocks"])
    assert "Analytical engine" in shown
    assert "Ada &lt;Lovelace&gt;" in shown
    assert "canary" not in json.dumps(delivery)


async def test_orders_and_users_get_mails_with_nothing_configured(server: RedisServer | None, tmp_path: Path) -> None:
    async with MailServer() as mails:
        hub = hub_on(server, tmp_path, {"smtp_url": mails.url, "email_from": "Shop <shop@example.com>"})
        await hub.start()
        try:
            async with hub.client() as api:
                tenant = Tenant(api, "default")
                await tenant.subscribe("email", {"to": ["{{ data.customer.email }}"]}, event_types=["order.created"])
                await tenant.subscribe("email", {"to": ["{{ data.email }}"]}, event_types=["user.*"])
                order = await tenant.delivery(await tenant.publish("order.created", ORDER))
                user = {"user_id": "7", "email": "grace@example.com", "name": "Grace"}
                await tenant.delivery(await tenant.publish("user.registered", user))
        finally:
            await hub.kill()
    ordered, registered = mails.mails
    assert ordered.recipients == ("ada@example.com",)
    assert "1001" in ordered.message["Subject"]
    assert order["id"].removeprefix("dlv_") in ordered.message["Message-ID"]
    assert "Analytical engine" in text(ordered.message, "plain")
    assert "Ada &lt;Lovelace&gt;" in text(ordered.message, "html")
    assert registered.recipients == ("grace@example.com",)
    assert "Grace" in text(registered.message, "plain")


def text(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    assert part is not None
    content = part.get_content()
    assert isinstance(content, str)
    return content


async def test_mail_that_no_setting_can_send_is_held_with_the_reason_and_costs_no_attempt(tenant: Tenant) -> None:
    await tenant.subscribe("email", {"to": ["ada@example.com"]}, retry_schedule=[])
    event = await tenant.publish()
    held = await tenant.delivery(event, "held")
    assert (held["attempt_count"], held["attempts"]) == (0, [])
    assert held["reason"] == "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
    (explained,) = (await tenant.call("GET", f"/v1/events/{event}/explain"))["items"]
    assert (explained["outcome"], held["reason"] in explained["reason"]) == ("held", True)
    listed = await tenant.call("GET", "/v1/deliveries", params={"status": "held"})
    assert [delivery["id"] for delivery in listed["items"]] == [held["id"]]


async def test_events_are_kept_in_a_file_line_by_line(tenant: Tenant, hub: Hub) -> None:
    await tenant.subscribe("file", {"name": "audit"})
    for number in range(3):
        await tenant.delivery(await tenant.publish(data={"n": number}))
    lines = (hub.directory / "data" / "files" / tenant.name / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["data"]["n"] for line in lines] == [0, 1, 2]


async def test_a_cloud_event_arrives_as_it_was_published(tenant: Tenant) -> None:
    published = {
        "specversion": "1.0",
        "id": "42",
        "source": "/warehouse",
        "type": "stock.low",
        "time": "2026-11-23T12:00:00Z",
        "datacontenttype": "application/json",
        "region": "eu",
        "data": {"sku": "A-1", "left": 2.50},
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url, "format": "cloudevents"})
        await tenant.subscribe("webhook", {"url": f"{receiver.url}/raw", "format": "raw"})
        first = await tenant.call("POST", "/v1/events", json=published, headers=headers)
        again = await tenant.call("POST", "/v1/events", json=published, headers=headers)
        arrivals = {arrival.path: arrival for arrival in await receiver.arrived(2)}
    assert again == {**first, "duplicate": True}
    assert arrivals["/"].json() == published
    assert arrivals["/raw"].json() == published["data"]


async def test_bytes_that_are_no_json_arrive_as_they_were_published(tenant: Tenant) -> None:
    body = b64decode("iVBORw0KGgo=")
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/camera", "ce-type": "image.taken"}
    async with Receiver() as receiver:
        await tenant.subscribe("webhook", {"url": receiver.url, "format": "raw"})
        await tenant.call("POST", "/v1/events", content=body, headers={**binary, "Content-Type": "image/png"})
        (arrival,) = await receiver.arrived()
    assert (arrival.headers["content-type"], arrival.body) == ("image/png", body)


async def test_filters_decide_and_say_why(tenant: Tenant) -> None:
    async with Receiver() as receiver:
        target = {"url": receiver.url}
        large = await tenant.subscribe("webhook", target, filter={"data.total": {"gte": 100}})
        small = await tenant.subscribe("webhook", target, filter={"data.total": {"lt": 100}})
        users = await tenant.subscribe("webhook", target, event_types=["user.*"])
        event_id = await tenant.publish("order.created", ORDER)
        delivery = await tenant.delivery(event_id)
        explained = await tenant.call("GET", f"/v1/events/{event_id}/explain")
    assert delivery["subscription_id"] == small
    outcomes = {item["subscription_id"]: item["outcome"] for item in explained["items"]}
    assert outcomes == {large: "filtered", small: "matched", users: "no_match"}
    assert all(item["reason"] for item in explained["items"])
