"""What a release stores so that later ones can be tried on it: something of everything, put in over HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson

from hub.testing.receivers import Arrival, Reply
from tests.e2e.tenant import ORDER, Tenant
from tests.faults.patience import until

PATIENCE_SECONDS = 90.0
"""On Redis, two looks for tasks of dead processes, 15 s apart, come after the dead leader's lease of 10 s."""
FAR = "2126-01-01T00:00:00Z"
DAY_SECONDS = 86_400
SIGNING_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

Written = dict[str, Any]
"""What the test must know of the data, as it stands in `expected.json`."""
Spec = tuple[str, dict[str, Any], dict[str, Any]]
"""The channel, the target and the other members of a subscription."""

_PAST = "2026-01-02T03:04:05.678+01:00"
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_USER = {"user_id": "u-1", "email": "ada@example.com", "name": "Ada"}
_STOCK_SCHEMA = {"type": "object", "required": ["sku"], "properties": {"left": {"type": "integer", "minimum": 0}}}
_LONG_BODY = "the receiver is being repaired, and says so at length; " * 6
"""Redis keeps attempts with long bodies elsewhere than the others."""


class Behaviour:
    """How the receiver answers, by the first segment of the path."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def __call__(self, arrival: Arrival) -> Reply:
        lane = arrival.path.strip("/")
        self._seen[lane] = seen = self._seen.get(lane, 0) + 1
        answers = {
            "flaky": Reply(503, _LONG_BODY) if seen == 1 else Reply(200, "at last"),
            "broken": Reply(500, "no"),
            "gone": Reply(410),
            "later": Reply(503, _LONG_BODY),
            "slow": Reply(delay=3_600) if seen == 1 else Reply(200, "back"),
            "torn": Reply(delay=3_600),
            "slack": Reply(200, "ok"),
        }
        return answers.get(lane, Reply(200, "taken"))


# -- the catalogue ---------------------------------------------------------------------------------------------------


async def issue_keys(operator: httpx.AsyncClient) -> dict[str, str]:
    """Two tenants with their keys, one of which is revoked, and one of which expires at once."""
    for tenant in ("acme", "torn"):
        (await operator.post("/v1/tenants", json={"id": tenant, "name": tenant.title()})).raise_for_status()
    keys = {
        "acme": await _key(operator, "acme", "events:write", "read", "manage", expires_at=FAR),
        "torn": await _key(operator, "torn", "admin"),
        "reader": await _key(operator, "acme", "read"),
        "revoked": await _key(operator, "acme", "read"),
        "expired": await _key(operator, "acme", "read", expires_at=now(timedelta(seconds=1))),
    }
    listed = (await operator.get("/v1/keys")).json()["items"]
    (revoked,) = [key["id"] for key in listed if key["id"].removeprefix("key_") in keys["revoked"]]
    (await operator.delete(f"/v1/keys/{revoked}")).raise_for_status()
    return keys


async def register_event_types(acme: Tenant) -> None:
    await acme.call("PUT", "/v1/event-types/stock.low", json={"schema": _STOCK_SCHEMA, "example": {"sku": "A-1"}})
    await acme.call("PUT", "/v1/event-types/order.paid", json={"schema": {"required": ["paid_by"]}})
    await acme.call("PUT", "/v1/event-types/stock.gone", json={"description": "None is left."})


async def subscribe(acme: Tenant, url: str) -> dict[str, str]:
    """Subscriptions of each channel and with each member; gives their ids by name."""
    made = {}
    for name, (channel, target, members) in {**_webhooks(url), **_others(url)}.items():
        made[name] = await acme.subscribe(channel, target, **{"name": name, **members})
    rotation = {"grace_seconds": 30 * DAY_SECONDS}
    await acme.call("POST", f"/v1/subscriptions/{made['signed']}/rotate-secret", json=rotation)
    deleted = await acme.subscribe("file", {"name": "deleted"}, event_types=["order.*"])
    await acme.call("DELETE", f"/v1/subscriptions/{deleted}")
    await acme.call("POST", f"/v1/subscriptions/{made['cloud']}/disable")
    await acme.call("POST", f"/v1/subscriptions/{made['cloud']}/enable")
    return made


def _webhooks(url: str) -> dict[str, Spec]:
    quick, once = [0.05, 0.05], [float(DAY_SECONDS)]
    signed = {"url": f"{url}/ok", "secret": SIGNING_SECRET, "headers": {"X-Api-Token": "a-token-that-is-not-shown"}}
    cloud = {"url": f"{url}/cloud", "format": "cloudevents"}
    return {
        "signed": ("webhook", signed, {"event_types": ["order.*"], "retry_schedule": once, "timeout": 5.5}),
        "flaky": ("webhook", {"url": f"{url}/flaky"}, {"event_types": ["stock.low"], "retry_schedule": quick}),
        "broken": ("webhook", {"url": f"{url}/broken"}, {"event_types": ["stock.broken"], "retry_schedule": quick[:1]}),
        "gone": ("webhook", {"url": f"{url}/gone"}, {"event_types": ["stock.gone"]}),
        "later": ("webhook", {"url": f"{url}/later"}, {"event_types": ["stock.later"], "retry_schedule": once}),
        "slow": ("webhook", {"url": f"{url}/slow"}, {"event_types": ["stock.slow"], "max_in_flight": 1}),
        "cloud": ("webhook", cloud, {"event_types": ["com.example.*"], "rate_limit": {"per_second": 500.5}}),
    }


def _others(url: str) -> dict[str, Spec]:
    mail = {"to": ["{{ data.email }}"], "from": "hub@example.com", "bcc": ["audit@example.com"]}
    template = {"text": "{{ data.name }} of {{ type }}"}
    condition = {"data.total": {"gte": 50}, "any": [{"data.currency": ["EUR"]}, {"not": {"subject": "x"}}]}
    return {
        "slack": (
            "slack",
            {"webhook_url": f"{url}/slack"},
            {"event_types": ["user.*", "order.created"], "template": template},
        ),
        "email": ("email", mail, {"event_types": ["user.registered"]}),
        "file": ("file", {"name": "orders"}, {"event_types": ["order.*"], "filter": condition}),
        "held": ("file", {"name": "held"}, {"event_types": ["held.*"], "enabled": False}),
    }


# -- events and deliveries -------------------------------------------------------------------------------------------


async def publish_native(acme: Tenant) -> None:
    """Events whose deliveries are delivered, dead, sent again, or waiting for their next attempt."""
    order = await acme.call("POST", "/v1/orders/1001/events", json={"type": "order.created", "data": ORDER})
    cheap = await acme.publish("order.created", {**ORDER, "order_id": "7", "total": "1.00"}, subject="orders/7")
    user = await acme.call("POST", "/v1/users/u-1/events", json={"type": "user.registered", "data": _USER})
    flaky = await acme.publish("stock.low", {"sku": "B", "left": 3}, ordering_key="B", time=_PAST)
    broken, gone = [await acme.publish(kind, {"sku": "ä\u2028"}) for kind in ("stock.broken", "stock.gone")]
    await eventually(lambda: _ended(acme, order["id"], cheap, user["id"], flaky, broken, gone))
    later = [await acme.publish("stock.later", [1, 2.5, None]) for _ in range(2)]
    expiring = await acme.publish("stock.later", "soon", expires_at=now(timedelta(hours=20)))
    await eventually(lambda: _attempted(acme, *later, expiring))
    delivery = (await acme.deliveries(cheap))[0]
    await acme.call("POST", f"/v1/deliveries/{delivery['id']}/replay")
    await acme.call("POST", f"/v1/events/{broken}/replay")
    await eventually(lambda: _ended(acme, cheap, broken))


async def publish_waiting(acme: Tenant, signed: str) -> Written:
    """Deliveries that are held, that were cancelled in each way, and that wait; gives what is to be sent of one of the
    last, to the subscription `signed`."""
    await acme.publish("held.one", {"n": 1})
    await acme.publish("held.two", {"n": 2}, expires_at=FAR)
    cancelled = await acme.publish("stock.later", None, deliver_at=FAR, subject="cancelled")
    await acme.call("DELETE", f"/v1/events/{cancelled}")
    one = await acme.publish("stock.later", None, deliver_at=FAR)
    await acme.call("POST", f"/v1/deliveries/{(await acme.deliveries(one))[0]['id']}/cancel")
    body = {"type": "order.shipped", "data": ORDER, "deliver_at": FAR, "id": "w-1", "source": "/shop"}
    event = (await acme.call("POST", "/v1/events", json=body, headers={"traceparent": _TRACEPARENT}))["id"]
    (delivery,) = [made["id"] for made in await acme.deliveries(event) if made["subscription_id"] == signed]
    return {
        "body": body,
        "event": event,
        "subscription": signed,
        "delivery": delivery,
        "previous_secret": SIGNING_SECRET,
        "traceparent": _TRACEPARENT,
    }


async def publish_cloud_events(acme: Tenant) -> tuple[Any, str]:
    """One in each mode; gives the first of them with its id."""
    plain = {"specversion": "1.0", "source": "/shop/ä", "type": "com.example.made", "time": _PAST}
    extensions = {"partitionkey": "p", "dataschema": "https://example.com/s", "flag": True, "level": -3, "word": "w"}
    structured = {**plain, "id": "c-1", "subject": "s", **extensions, "data": {"a": [1]}}
    encoded = {**plain, "id": "c-2", "datacontenttype": "application/x-thing", "data_base64": "AAEC/w=="}
    batch = [{**plain, "id": "c-3"}, {**plain, "id": "c-4", "data": "text", "expirytime": FAR}]
    made = [await _cloud_event(acme, one) for one in (structured, encoded)]
    answer = await _cloud_event(acme, batch, "application/cloudevents-batch+json")
    headers = {f"ce-{name}": value for name, value in plain.items() if name != "source"}
    headers |= {"ce-id": "c-5", "ce-source": "/bin", "ce-level": "5", "content-type": "text/plain; charset=utf-8"}
    binary = await acme.call("POST", "/v1/events", content="plain words", headers=headers)
    ids = [*(one["id"] for one in made), *(item["id"] for item in answer["items"]), binary["id"]]
    await eventually(lambda: _ended(acme, *ids))
    return structured, ids[0]


async def publish_with_keys(acme: Tenant, known: Any) -> list[Written]:
    """Requests with an idempotency key, one of them with an event that is known; gives them with their answers."""
    batch = [{"type": "note.made", "data": 1}, known, {"type": "note.made"}]
    written = []
    for key, body in (("one", {"type": "note.made", "data": {"n": 1}}), ('"many"', batch)):
        content = orjson.dumps(body).decode()
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        answer = (await acme.api.post("/v1/events", content=content, headers=headers)).raise_for_status()
        kept = {name: answer.headers[name] for name in ("content-type", "location") if name in answer.headers}
        written.append({"key": key, "body": content, "answer": answer.text, "headers": kept})
    return written


async def run_schedule(api: httpx.AsyncClient, name: str, *, until_done: bool = False) -> str:
    """Start a schedule out of turn; gives the id of its task."""
    task = (await api.post(f"/v1/schedules/{name}/run")).raise_for_status().json()["id"]

    async def done() -> bool:
        return bool((await api.get(f"/v1/tasks/{task}")).json()["status"] == "completed")

    if until_done:
        await eventually(done)
    return str(task)


# -- means -----------------------------------------------------------------------------------------------------------


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    await until(holds, PATIENCE_SECONDS)


def now(ahead: timedelta = timedelta()) -> str:
    instant = datetime.now(UTC) + ahead  # noqa: TID251 - real data has real instants
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _cloud_event(acme: Tenant, body: Any, media: str = "application/cloudevents+json") -> Any:
    return await acme.call("POST", "/v1/events", content=orjson.dumps(body), headers={"content-type": media})


async def _key(operator: httpx.AsyncClient, tenant: str, *scopes: str, **members: Any) -> str:
    new = {"name": f"{tenant} {' '.join(scopes)}", "tenant": tenant, "scopes": scopes, **members}
    return str((await operator.post("/v1/keys", json=new)).raise_for_status().json()["key"])


async def _made(acme: Tenant, events: tuple[str, ...]) -> list[Mapping[str, Any]]:
    return [delivery for event in events for delivery in await acme.deliveries(event)]


async def _ended(acme: Tenant, *events: str) -> bool:
    """Whether every delivery of these events has come to its end."""
    return all(made["status"] in ("delivered", "dead", "cancelled") for made in await _made(acme, events))


async def _attempted(acme: Tenant, *events: str) -> bool:
    return all(made["attempts"] and made["status"] != "sending" for made in await _made(acme, events))
