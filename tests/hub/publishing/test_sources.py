"""A signed request becomes an event: its type, its id, its data as they came."""

import hmac
from base64 import b64encode
from typing import Any

import pytest

from hub.catalogue.sources import Source
from hub.catalogue.sources.model import SourceDocument
from hub.catalogue.sources.schemes import SCHEMES
from hub.errors import BadRequest, HubError, Invalid, Unauthorized, UnsupportedMedia
from hub.publishing.event import ParsedEvent
from hub.publishing.sources import announced_event, signed_event
from hub.testing.clock import START

SECRET = "It's a Secret to Everybody"
BODY = b' {"ref": "refs/heads/main", "size": 10.50} '


def source(scheme: str = "hmac", **members: Any) -> Source:
    options = {"header": "X-Signature", "name_header": "X-Event", "id_header": "X-Id"} if scheme == "hmac" else {}
    document = {"name": "ours", "scheme": scheme, "secret": SECRET, "options": options, **members}
    kept = SourceDocument.model_validate({**document, "created_at": START, "updated_at": START})
    return Source("src_1", "acme", kept, SCHEMES[scheme].model_validate(kept.options))


def received(of: Source, body: bytes = BODY, **headers: str) -> ParsedEvent | None:
    signature = hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    sent = {"x_signature": signature, "x_event": "push", "x_id": "7", **headers}
    return signed_event(of, {name.replace("_", "-"): value for name, value in sent.items()}, body, START)


def test_the_body_as_it_came_is_the_data_and_the_source_is_named_by_the_hub() -> None:
    event = received(source(), content_type="application/json; charset=utf-8")
    assert event is not None
    assert (event.type, event.source, event.source_id) == ("hmac.push", "hub:source/src_1", "7")
    assert (event.data, event.data_value) == (BODY, {"ref": "refs/heads/main", "size": 10.5})
    assert event.accepted("evt_1", "acme", START).time == START


@pytest.mark.parametrize(
    ("prefix", "name", "expected"),
    [
        (None, "push", "hmac.push"),
        ("repo", "push", "repo.push"),
        ("com.acme.repo", "pull_request.opened", "com.acme.repo.pull_request.opened"),
        ("", "order.created", "order.created"),
    ],
)
def test_the_type_is_the_prefix_and_the_name(prefix: str | None, name: str, expected: str) -> None:
    event = received(source(type_prefix=prefix), x_event=name)
    assert event is not None
    assert event.type == expected


@pytest.mark.parametrize("name", ["hub.started", "two words", "a*", "ä", "x" * 256])
def test_a_name_that_no_sender_may_give_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        received(source(type_prefix=""), x_event=name)


def test_the_type_is_the_prefix_alone_where_the_sender_gives_no_name() -> None:
    event = received(source(options={"header": "X-Signature"}))
    assert event is not None
    assert (event.type, event.source_id) == ("hmac", None)


@pytest.mark.parametrize(
    ("body", "headers", "error"),
    [
        (b"payload=%7B%7D", {"content_type": "application/x-www-form-urlencoded"}, UnsupportedMedia),
        (b"<a/>", {"content_type": "text/xml"}, UnsupportedMedia),
        (b"{", {}, BadRequest),
        (b"", {}, BadRequest),
        (b"{}", {"x_id": "x" * 1_025}, Invalid),
        (b"{}", {"x_id": "a\x7fb"}, Invalid),
    ],
)
def test_what_cannot_be_an_event_is_refused_after_the_signature_was_verified(
    body: bytes, headers: dict[str, str], error: type[HubError]
) -> None:
    with pytest.raises(error):
        received(source(), body, **headers)
    with pytest.raises(Unauthorized):
        received(source(), body, **{**headers, "x_signature": "00"})


def test_what_a_sender_with_a_key_announces_has_a_source_that_is_not_the_hubs() -> None:
    event = announced_event("github", {"x-github-event": "push", "x-github-delivery": "d-1"}, BODY)
    assert event is not None
    assert (event.type, event.source, event.source_id) == ("github.push", "urn:notification-hub:github", "d-1")
    assert (event.data, event.data_value) == (BODY, {"ref": "refs/heads/main", "size": 10.5})


@pytest.mark.parametrize("name", ["", "two words", "a*", "x" * 256])
def test_a_name_that_no_sender_may_give_is_refused_with_a_key_too(name: str) -> None:
    with pytest.raises(Invalid):
        announced_event("github", {"x-github-event": name}, BODY)


def test_the_data_of_a_standard_webhook_is_cut_out_as_it_came() -> None:
    body = b'{"type":"order.paid","timestamp":"2026-11-23T11:59:00Z","data" : { "total": 10.50 }}'
    at = str(int(START.timestamp()))
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    of = source("standard", secret=secret, type_prefix="")
    digest = of.scheme.digest(of.scheme.key(secret), f"msg_1.{at}.".encode() + body)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{b64encode(digest).decode()}"}
    event = signed_event(of, headers, body, START)
    assert event is not None
    assert (event.type, event.data, event.data_value) == ("order.paid", b'{ "total": 10.50 }', {"total": 10.5})
    assert event.time is not None
    assert event.time < START
