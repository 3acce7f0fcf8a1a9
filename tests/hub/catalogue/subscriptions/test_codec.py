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
from hub.catalogue.subscriptions.unreadable import HELD, UnreadableTarget
from hub.dispatch.holds import Holds
from hub.errors import Conflict, Forbidden, Invalid
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


def test_a_record_of_a_channel_that_is_not_installed_says_what_to_do(codec: SubscriptionCodec) -> None:
    record = codec.encode(build(codec))
    elsewhere = SubscriptionCodec({}, codec._renderer, codec._sealer)
    with pytest.raises(Conflict, match="uses the channel webhook: install it"):
        elsewhere.decode(record)


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
