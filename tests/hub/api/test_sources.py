"""Senders that sign their requests publish without a key; sources are managed with one."""

import hmac
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing

from hub.catalogue.sources.schemes import SCHEMES
from tests.api_support import ORDER, Api, ndjson, open_api, pointers, settings_for

ROOT = Path(__file__).parents[3]
JSON = {"content-type": "application/json"}
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET = "It's a Secret to Everybody"
PUSH = b'{"ref": "refs/heads/main",  "repository": {"full_name": "o/r"}}'


async def create(api: Api, scheme: str = "github", **members: Any) -> dict[str, Any]:
    spec = {"name": "ours", "scheme": scheme, "secret": SECRET, **members}
    made = await api.admin.post("/v1/sources", json=spec)
    assert made.status_code == 201, made.text
    source: dict[str, Any] = made.json()
    assert made.headers["location"] == f"/v1/sources/{source['id']}"
    return source


def signed(content: bytes) -> bytes:
    return hmac.digest(SECRET.encode(), content, "sha256")


async def send(api: Api, source_id: str, headers: dict[str, str], body: bytes = PUSH) -> httpx.Response:
    sent = {**JSON, **headers}
    return await api.client(None).post(f"/v1/sources/{source_id}/events", content=body, headers=sent)


def github(body: bytes = PUSH, event: str = "push", delivery: str = "72d3162e") -> dict[str, str]:
    signature = f"sha256={signed(body).hex()}"
    return {"X-Hub-Signature-256": signature, "X-GitHub-Event": event, "X-GitHub-Delivery": delivery}


async def test_what_github_signs_becomes_an_event_once(api: Api) -> None:
    source = await create(api)
    accepted = await send(api, source["id"], github())
    assert accepted.status_code == 202, accepted.text
    event = (await api.admin.get(accepted.headers["location"])).json()
    assert accepted.json() == {"id": event["id"], "type": "github.push", "status": "accepted", "duplicate": False}
    assert (event["source"], event["source_id"]) == (f"hub:source/{source['id']}", "72d3162e")
    assert PUSH in (await api.admin.get(accepted.headers["location"])).content
    again = await send(api, source["id"], github())
    assert (again.status_code, again.json()) == (202, {**accepted.json(), "duplicate": True})
    assert (await send(api, source["id"], github(delivery="other"))).json()["duplicate"] is False


async def test_the_ping_of_github_is_answered_and_published_to_nobody(api: Api) -> None:
    source = await create(api)
    assert (await send(api, source["id"], github(event="ping"))).status_code == 204
    assert (await send(api, source["id"], {**github(event="ping"), "X-Hub-Signature-256": "00"})).status_code == 401
    assert (await api.admin.get("/v1/events")).json()["items"] == []


async def test_the_other_vendors_publish_too(api: Api) -> None:
    at = str(int(api.clock.now().timestamp()))
    body = b'{"id":"evt_1","type":"invoice.paid","data":{"object":{"total":1050}}}'
    standard = {"webhook-id": "msg_1", "webhook-timestamp": at}
    digest = hmac.digest(b"a secret of 24 characters", f"msg_1.{at}.".encode() + body, "sha256")
    whsec = "whsec_" + b64encode(b"a secret of 24 characters").decode()
    requests = {
        "stripe": ({"stripe-signature": f"t={at},v1={signed(f'{at}.'.encode() + body).hex()}"}, "invoice.paid"),
        "shopify": (
            {
                "x-shopify-hmac-sha256": b64encode(signed(body)).decode(),
                "x-shopify-topic": "orders/create",
                "x-shopify-webhook-id": "w-1",
            },
            "orders.create",
        ),
        "standard": ({**standard, "webhook-signature": f"v1,{b64encode(digest).decode()}"}, "invoice.paid"),
        "hmac": ({"x-signature": signed(body).hex(), "x-event": "paid"}, "paid"),
    }
    for scheme, (headers, name) in requests.items():
        options = {"header": "X-Signature", "name_header": "X-Event"} if scheme == "hmac" else {}
        source = await create(api, scheme, options=options, secret=whsec if scheme == "standard" else SECRET)
        accepted = await send(api, source["id"], headers, body)
        assert (accepted.status_code, accepted.json().get("type")) == (202, f"{scheme}.{name}"), accepted.text
        assert (await send(api, source["id"], headers, body)).json()["duplicate"] is (scheme != "hmac")


async def test_every_source_of_the_guide_can_be_made(api: Api) -> None:
    guide = (ROOT / "docs/guides/sources.md").read_text()
    specs = re.findall(r"\$HUB_URL/v1/sources -H [^\n]* --json '(\{.*?\})'\n", guide, re.DOTALL)
    made = [
        await api.admin.post("/v1/sources", content=spec.replace("'\"$SECRET\"'", WHSEC), headers=JSON)
        for spec in specs
    ]
    assert [answer.status_code for answer in made] == [201] * 5
    assert {answer.json()["scheme"] for answer in made} == SCHEMES.keys()


async def test_an_unknown_source_a_disabled_one_and_a_wrong_signature_look_alike(api: Api) -> None:
    source, off = await create(api), await create(api, enabled=False)
    answers = [
        await send(api, source["id"], {**github(), "X-Hub-Signature-256": f"sha256={'0' * 64}"}),
        await send(api, source["id"], {}, b"not even JSON"),
        await send(api, off["id"], github()),
        await send(api, "src_unknown", github()),
        await send(api, "src_unknown", {}, b"not even JSON"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content.partition(b'"request_id"')[0] for answer in answers}) == 1


async def test_the_operator_reads_in_the_log_why_a_request_was_refused(api: Api) -> None:
    source = await create(api)
    with structlog.testing.capture_logs() as lines:
        await send(api, source["id"], {**github(), "X-Hub-Signature-256": "sha256=00"})
        await send(api, source["id"], {})
        await send(api, "src_unknown", github())
    refused = [line for line in lines if line["event"] == "source.refused"]
    assert [(line["source_id"], line["status"]) for line in refused] == [(source["id"], 401)] * 2
    assert ["another secret" in line["reason"] for line in refused] == [True, False]


async def test_a_form_is_answered_with_what_to_set(api: Api) -> None:
    source = await create(api)
    body = b"payload=%7B%7D"
    form = {**github(body), "content-type": "application/x-www-form-urlencoded"}
    refused = await send(api, source["id"], form, body)
    assert refused.status_code == 415
    assert "application/json" in refused.json()["detail"]
    packed = await send(api, source["id"], {**github(), "content-encoding": "gzip"})
    assert packed.status_code == 415


async def test_a_body_over_the_limit_of_an_event_is_refused_even_when_it_is_an_array(api: Api) -> None:
    source = await create(api)
    for body in (b'{"a":"%s"}', b'["%s"]'):
        large = body % (b"x" * api.services.settings.max_body_bytes)
        refused = await send(api, source["id"], github(large), large)
        assert (refused.status_code, "262144" in refused.json()["detail"]) == (413, True)
    small = b"[1, 2]"
    assert (await send(api, source["id"], github(small), small)).status_code == 202


async def test_events_of_a_source_are_checked_filtered_and_delivered_as_any_other(api: Api) -> None:
    await api.subscribe(event_types=["order.*"], filter={"data.currency": "EUR"})
    source = await create(api, "hmac", type_prefix="order", options={"header": "X-Sig", "name_header": "X-Event"})

    async def post(data: dict[str, Any]) -> httpx.Response:
        body = ndjson(data)
        return await send(api, source["id"], {"x-sig": signed(body).hex(), "x-event": "created"}, body)

    refused = await post({**ORDER, "total": 1})
    assert (refused.status_code, pointers(refused)) == (422, ["/data/total"])
    event_id = (await post(ORDER)).json()["id"]
    (delivered,) = await api.deliveries("delivered")
    assert delivered["event_id"] == event_id


async def test_a_secret_is_replaced_without_a_gap_and_shown_nowhere(api: Api) -> None:
    source = await create(api, secret="the secret before, which is a longer one")
    path = f"/v1/sources/{source['id']}"
    rotated = await api.admin.post(f"{path}/rotate-secret", json={"secret": SECRET, "grace_seconds": 60})
    assert rotated.status_code == 200
    before = hmac.digest(b"the secret before, which is a longer one", PUSH, "sha256").hex()
    old = {**github(delivery="old"), "X-Hub-Signature-256": f"sha256={before}"}
    assert (await send(api, source["id"], old)).status_code == 202
    assert (await send(api, source["id"], github(delivery="new"))).status_code == 202
    api.clock.advance(60)
    assert (await send(api, source["id"], old)).status_code == 401
    patched = await api.admin.patch(path, json={"secret": rotated.json()["secret"], "name": "renamed"})
    assert (await send(api, source["id"], github())).status_code == 202
    for answer in (rotated, patched, await api.admin.get(path), await api.admin.get("/v1/sources")):
        assert "Everybody" not in answer.text
        assert "before" not in answer.text


async def test_sources_are_listed_newest_first_page_by_page_and_deleted(api: Api) -> None:
    ids = [(await create(api))["id"] for _ in range(3)][::-1]
    first = (await api.admin.get("/v1/sources?limit=2")).json()
    rest = (await api.admin.get("/v1/sources", params={"cursor": first["next_cursor"]})).json()
    assert [source["id"] for source in first["items"] + rest["items"]] == ids
    assert (await api.admin.delete(f"/v1/sources/{ids[0]}")).status_code == 204
    assert (await api.admin.get(f"/v1/sources/{ids[0]}")).status_code == 404
    assert (await send(api, ids[0], github())).status_code == 401


async def test_sources_belong_to_a_tenant_and_need_the_scope_manage(api: Api) -> None:
    source = await create(api)
    stranger = await api.holder("manage", tenant="other")
    assert (await stranger.get("/v1/sources")).json()["items"] == []
    for method in ("GET", "DELETE"):
        assert (await stranger.request(method, f"/v1/sources/{source['id']}")).status_code == 404
    publisher = await api.holder("events:write", "read")
    assert (await publisher.get("/v1/sources")).status_code == 403


@pytest.mark.parametrize(
    ("members", "place"), [({"type": "hub.started"}, "/type"), ({"source": "hub:source/src_1"}, "/source")]
)
async def test_a_client_cannot_publish_under_a_name_of_the_hub(api: Api, members: dict[str, str], place: str) -> None:
    event = {"type": "stock.low", "data": None, **members}
    refused = await api.admin.post("/v1/events", json=event)
    assert (refused.status_code, pointers(refused)) == (422, [place])
    cloud = {"specversion": "1.0", "id": "1", "source": "/shop", **event}
    headers = {"content-type": "application/cloudevents+json"}
    refused = await api.admin.post("/v1/events", json=cloud, headers=headers)
    assert (refused.status_code, pointers(refused)) == (422, [place])


async def test_a_hub_that_takes_registered_types_only_refuses_others_of_a_source(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path, strict_types=True)) as api:
        source = await create(api)
        assert (await send(api, source["id"], github())).status_code == 422
        assert (await send(api, source["id"], github(event="ping"))).status_code == 204
        (await api.admin.put("/v1/event-types/github.push", json={})).raise_for_status()
        assert (await send(api, source["id"], github())).status_code == 202
