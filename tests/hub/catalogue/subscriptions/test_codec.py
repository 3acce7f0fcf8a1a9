"""A subscription is what its spec says, checked in every part, and comes back from its record as it was."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from channels.base import SignedTarget
from hub.catalogue.sealing import Sealer, fingerprint
from hub.catalogue.subscriptions import Subscription, SubscriptionCodec, SubscriptionSpec
from hub.catalogue.subscriptions.model import RateLimit
from hub.catalogue.subscriptions.unreadable import HELD, UnreadableTarget
from hub.dispatch.holds import Holds
from hub.errors import Conflict, Forbidden, Invalid
from hub.models import Record
from hub.testing.clock import START

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
HOOK = {"url": "https://example.com/hooks", "secret": SECRET, "headers": {"X-Token": "t-0123456789"}}


def build(codec: SubscriptionCodec, *, by_operator: bool = False, **members: Any) -> Subscription:
    spec = {"name": "all", "event_types": ["*"], "channel": "webhook", "target": HOOK, **members}
    return codec.build("acme", SubscriptionSpec.model_validate(spec), by_operator=by_operator, at=START)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"enabled": False, "retry_schedule": [], "timeout": 0.5, "max_in_flight": 3},
        {"filter": {"data.total": {"gte": 100}}, "rate_limit": {"per_second": 0.5}, "event_types": ["a.*", "b"]},
        {"channel": "file", "target": {"name": "orders"}},
    ],
)
def test_a_subscription_comes_back_as_it_was_encoded(codec: SubscriptionCodec, members: dict[str, Any]) -> None:
    built = build(codec, **members)
    decoded = codec.decode(replace(codec.encode(built), version=7))
    assert (decoded.version, decoded.view()) == (7, built.view())
    assert (decoded.target, decoded.per_second, decoded.schedule) == (built.target, built.per_second, built.schedule)
    assert (decoded.filter is None) == (built.filter is None)
    assert decoded.address == built.address != ""


def test_what_an_older_release_stored_has_no_address_until_its_target_changes(codec: SubscriptionCodec) -> None:
    record = codec.encode(build(codec))
    doc = orjson.loads(record.doc or b"")
    del doc["address"]
    assert codec.decode(replace(record, doc=orjson.dumps(doc))).address == ""


def test_no_secret_is_in_the_record_or_the_view(codec: SubscriptionCodec) -> None:
    built = build(codec)
    for shown in (codec.encode(built).doc or b"", built.view().model_dump_json().encode()):
        assert SECRET.encode() not in shown
        assert b"t-0123456789" not in shown


def test_a_record_belongs_to_its_tenant_and_its_place(codec: SubscriptionCodec) -> None:
    record = codec.encode(build(codec))
    for moved in (replace(record, tenant="other"), replace(record, id="sub_other")):
        assert isinstance(codec.decode(moved).target, UnreadableTarget)


def newer(record: Record, **members: Any) -> Record:
    """The record as a newer version has stored it."""
    return replace(record, doc=orjson.dumps({**orjson.loads(record.doc or b""), **members}))


def test_a_channel_that_only_another_version_has_is_held_and_its_record_stays(codec: SubscriptionCodec) -> None:
    record = newer(codec.encode(build(codec, filter={"data.total": {"gte": 100}})), zone="eu")
    read = SubscriptionCodec({}, codec._renderer, codec._sealer).decode(record)
    assert (
        Holds({}, sandbox=True).reason(read) == "cannot be read by this version of the hub: it has no channel webhook"
    )
    # Events are accepted for it here, and sent where the channel is known.
    assert (read.patterns, read.filter is None, read.unread) == (("*",), False, None)
    assert read.view().missing_secrets == []
    disabled = replace(read, spec=read.spec.model_copy(update={"enabled": False}))
    kept = orjson.loads(codec.encode(disabled).doc or b"")
    assert kept == {**orjson.loads(record.doc or b""), "target": kept["target"], "enabled": False}
    assert codec.decode(codec.encode(disabled)).target == codec.decode(record).target


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"event_types": "order.*"}, "/event_types"),
        ({"filter": {"data.total": {"nearly": 1}}}, "/filter/data.total/nearly"),
        ({"max_in_flight": 5_000, "timeout": "3 s"}, "/max_in_flight, /timeout"),
        ({"target": {"url": "https://example.com"}}, "its record (KeyError)"),
    ],
)
def test_a_record_that_cannot_be_read_selects_nothing_and_is_held(
    codec: SubscriptionCodec, members: dict[str, Any], reason: str
) -> None:
    record = newer(codec.encode(build(codec)), **members)
    read = codec.decode(record)
    assert read.unread == f"cannot be read by this version of the hub: {reason}"
    assert (read.patterns, read.spec.name, read.created_at, read.id) == ((), "all", START, record.id)
    written = orjson.loads(codec.encode(read).doc or b"")
    assert written | {"target": 0} == orjson.loads(record.doc or b"") | {"target": 0}


@pytest.mark.parametrize("doc", [b"[]", b"{not JSON", b'"text"'])
def test_a_record_that_is_no_object_is_held_and_never_written(codec: SubscriptionCodec, doc: bytes) -> None:
    read = codec.decode(replace(codec.encode(build(codec)), doc=doc))
    assert read.unread is not None
    with pytest.raises(Conflict):
        codec.encode(read)


def test_members_that_only_a_newer_version_knows_outlive_every_change(codec: SubscriptionCodec) -> None:
    record = codec.encode(build(codec, rate_limit={"per_second": 2}))
    doc, place = orjson.loads(record.doc or b""), {"tenant": "acme", "owner": record.id}
    token = codec._sealer.seal("t-9", field='["token"]', **place)
    doc["target"]["plain"] |= {"zone": "eu", "token": None}
    doc["target"]["sealed"] |= {'["token"]': token}
    record = newer(record, priority=5, target=doc["target"], rate_limit={"per_second": 2, "burst": 3})
    read = codec.decode(record)
    assert (read.per_second, isinstance(read.target, SignedTarget)) == (2, True)
    shown = read.view().model_dump_json()
    assert "zone" not in shown
    assert "burst" not in shown
    assert isinstance(read.target, SignedTarget)
    rotated = codec.retarget(read, read.target.rotated(START + timedelta(days=1)), START)
    spec = rotated.spec.model_copy(update={"name": "other", "target": HOOK, "rate_limit": RateLimit(per_second=9)})
    changed = codec.build("acme", spec, by_operator=False, at=START, current=rotated)
    # Sealed with the key that is present now, also what this version does not know.
    later = SubscriptionCodec(codec._channels, codec._renderer, Sealer("a newer secret", "a secret of these tests"))
    kept = orjson.loads(later.encode(later.decode(codec.encode(changed))).doc or b"")
    assert (kept["name"], kept["priority"], kept["rate_limit"]) == ("other", 5, {"per_second": 9.0, "burst": 3})
    assert (kept["target"]["plain"]["zone"], kept["target"]["plain"]["token"]) == ("eu", None)
    sealer = Sealer("a newer secret")
    assert sealer.open(kept["target"]["sealed"]['["token"]'], field='["token"]', **place) == "t-9"
    assert sealer.sealed_with(kept["target"], **place) == {fingerprint("a newer secret")}
    moved = codec.build(
        "acme",
        spec.model_copy(update={"channel": "file", "target": {"name": "orders"}}),
        by_operator=False,
        at=START,
        current=rotated,
    )
    assert orjson.loads(codec.encode(moved).doc or b"")["target"] == {"plain": {"name": "orders"}, "sealed": {}}


def test_secrets_that_cannot_be_decrypted_hold_a_subscription_and_stay_as_they_are(codec: SubscriptionCodec) -> None:
    record = codec.encode(build(codec))
    without = SubscriptionCodec(codec._channels, codec._renderer, Sealer("another secret"))
    read = without.decode(record)
    assert "/target/secret" in read.view().missing_secrets
    assert Holds({}, sandbox=True).reason(read) == HELD
    assert codec.decode(without.encode(read)).view().missing_secrets == []


def test_it_is_known_with_which_key_a_record_is_sealed(codec: SubscriptionCodec) -> None:
    built = build(codec)
    assert codec.decode(codec.encode(built)).sealed_with == {fingerprint("a secret of these tests")}
    plain = build(codec, channel="file", target={"name": "orders"})
    assert codec.decode(codec.encode(plain)).sealed_with == frozenset()


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({"channel": "pigeon"}, ["/channel"]),
        ({"event_types": ["*", "a.*.b"]}, ["/event_types/1"]),
        ({"template": {"subject": "x"}}, ["/template/subject"]),
        ({"target": {**HOOK, "url": "example.com"}}, ["/target/url"]),
        ({"target": {**HOOK, "previous_secrets": []}}, ["/target/previous_secrets"]),
        ({"filter": {"data.total": {"nearly": 1}}}, ["/filter/data.total/nearly"]),
    ],
)
def test_each_part_that_breaks_a_rule_is_pointed_at(
    codec: SubscriptionCodec, members: dict[str, Any], pointers: list[str]
) -> None:
    with pytest.raises(Invalid) as refused:
        build(codec, **members)
    assert [fault.pointer for fault in refused.value.errors] == pointers


def test_a_channel_for_operators_is_for_operators(codec: SubscriptionCodec) -> None:
    with pytest.raises(Forbidden):
        build(codec, channel="operators", target={})
    assert build(codec, channel="operators", target={}, by_operator=True).spec.channel == "operators"


def test_the_rate_is_the_channels_unless_the_spec_has_one(codec: SubscriptionCodec) -> None:
    own, other = (
        build(codec, channel="operators", target={}, by_operator=True, **members)
        for members in ({}, {"rate_limit": {"per_second": 5}})
    )
    assert (own.per_second, other.per_second, build(codec).per_second) == (2.0, 5.0, None)


def test_previous_secrets_stay_when_the_rest_of_a_target_is_replaced(codec: SubscriptionCodec) -> None:
    built = build(codec)
    assert isinstance(built.target, SignedTarget)
    rotated = codec.retarget(built, built.target.rotated(START + timedelta(days=1)), START)
    spec = SubscriptionSpec.model_validate({"name": "n", "event_types": ["*"], "channel": "webhook", "target": HOOK})
    changed = codec.build("acme", spec, by_operator=False, at=START + timedelta(hours=1), current=rotated)
    assert isinstance(changed.target, SignedTarget)
    assert [previous.secret for previous in changed.target.previous_secrets] == [SecretStr(SECRET)]
    assert "previous_secrets" not in changed.spec.target
    assert (changed.id, changed.created_at, changed.updated_at) == (built.id, START, START + timedelta(hours=1))


def test_what_is_disabled_has_a_reason_and_keeps_it(codec: SubscriptionCodec) -> None:
    built = build(codec, enabled=False)
    assert built.disabled_reason == "disabled on request"
    gone = replace(built, disabled_reason="HTTP 410: the target is gone")
    spec = built.spec.model_copy(update={"target": HOOK})
    again = codec.build("acme", spec, by_operator=False, at=START, current=gone)
    assert again.disabled_reason == "HTTP 410: the target is gone"
    assert build(codec).disabled_reason is None


def test_numbers_that_an_earlier_release_took_are_raised_to_what_is_allowed(codec: SubscriptionCodec) -> None:
    built = build(codec, rate_limit={"per_second": 5.0}, timeout=5.0)
    doc = orjson.loads(codec.encode(built).doc or b"")
    doc |= {"rate_limit": {"per_second": 1e-13}, "timeout": 5e-324}
    spec = codec.decode(Record("subscription", built.tenant, built.id, orjson.dumps(doc))).spec
    assert (spec.rate_limit, spec.timeout) == (RateLimit(per_second=1e-5), 0.01)
