"""Secrets of targets: sealed where they are kept, masked where they are shown."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from channels.base import PreviousSecret, SignedTarget
from hub.catalogue.sealing import (
    MASK,
    SealBroken,
    Sealer,
    fingerprint,
    mask,
    mask_model,
    reveal_model,
    unmask,
)
from hub.errors import Invalid

PLACE = {"tenant": "acme", "owner": "sub_1"}
WEBHOOK = "https://hooks.slack.example/services/T000/B000/abcdefghijklmnop"


class Target(SignedTarget):
    url: str = "https://example.com"
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    tokens: tuple[SecretStr, ...] = ()
    webhook: SecretStr | None = None
    note: str | None = None


class Aliased(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    password: SecretStr = Field(alias="pass-word")


TARGET = Target(
    secret=SecretStr("whsec_" + "s3cret" * 8),
    previous_secrets=(
        PreviousSecret(secret=SecretStr("whsec_old-s3cret"), expires_at=datetime(2026, 11, 24, tzinfo=UTC)),
    ),
    headers={
        "X-Key": SecretStr("header-s3cret"),
        "$a/b~c": SecretStr("odd-s3cret"),
        "x" * 100: SecretStr("long-s3cret"),
    },
    tokens=(SecretStr("one-s3cret"), SecretStr("two-s3cret")),
    webhook=SecretStr(WEBHOOK),
    note="v1:not sealed",
)


@pytest.fixture(scope="module")
def sealer() -> Sealer:
    return Sealer("k" * 32)


def test_a_text_comes_back_from_its_own_place(sealer: Sealer) -> None:
    sealed = sealer.seal("hällo", **PLACE, field="secret")
    assert sealed.startswith("v1:")
    assert sealed.isascii()
    assert "hällo" not in sealed
    assert sealer.open(sealed, **PLACE, field="secret") == "hällo"


def test_the_same_text_never_looks_the_same(sealer: Sealer) -> None:
    assert sealer.seal("x", **PLACE, field="f") != sealer.seal("x", **PLACE, field="f")


@pytest.mark.parametrize("change", [{"tenant": "other"}, {"owner": "sub_2"}, {"field": "url"}])
def test_a_sealed_text_cannot_be_moved_to_another_place(sealer: Sealer, change: dict[str, str]) -> None:
    sealed = sealer.seal("x", **PLACE, field="secret")
    with pytest.raises(SealBroken):
        sealer.open(sealed, **{**PLACE, "field": "secret", **change})


def test_names_cannot_be_shifted_from_one_part_of_a_place_to_the_next(sealer: Sealer) -> None:
    sealed = sealer.seal("x", tenant="a", owner="bc", field="d")
    with pytest.raises(SealBroken):
        sealer.open(sealed, tenant="ab", owner="c", field="d")


def test_another_key_opens_nothing(sealer: Sealer) -> None:
    with pytest.raises(SealBroken, match="HUB_SECRET_KEY"):
        Sealer("K" * 32).open(sealer.seal("x", **PLACE, field="f"), **PLACE, field="f")


def test_it_opens_with_every_key_and_seals_with_the_active_one() -> None:
    old, new = "k" * 32, "n" * 32
    active = fingerprint(old)
    both = Sealer(new, old, active=lambda: active)
    sealed = both.seal("x", **PLACE, field="f")
    assert Sealer(old).open(sealed, **PLACE, field="f") == "x"
    active = fingerprint(new)
    assert both.open(sealed, **PLACE, field="f") == "x"
    assert Sealer(new).open(both.seal("x", **PLACE, field="f"), **PLACE, field="f") == "x"
    active = "unknown"
    assert both.sealing == fingerprint(new)


def test_a_key_can_be_added(sealer: Sealer) -> None:
    other = Sealer("o" * 32)
    other.add("k" * 32)
    document = sealer.seal_model(TARGET, **PLACE)
    assert other.open_model(type(TARGET), document, **PLACE) == TARGET
    assert other.sealed_with(document, **PLACE) == {fingerprint("k" * 32)}
    with pytest.raises(SealBroken):
        Sealer("o" * 32).sealed_with(document, **PLACE)


@pytest.mark.parametrize("broken", ["", "v1:", "v2:AAAA", "v1:!!!", "v1:AAAA", "plain"])
def test_what_was_never_sealed_is_not_opened(sealer: Sealer, broken: str) -> None:
    with pytest.raises(SealBroken):
        sealer.open(broken, **PLACE, field="f")


def test_every_flipped_bit_is_noticed(sealer: Sealer) -> None:
    sealed = sealer.seal("x", **PLACE, field="f")
    for place in range(3, len(sealed), 5):
        other = "A" if sealed[place] != "A" else "B"
        with pytest.raises(SealBroken):
            sealer.open(sealed[:place] + other + sealed[place + 1 :], **PLACE, field="f")


def test_a_model_survives_being_sealed_and_stored(sealer: Sealer) -> None:
    stored = orjson.dumps(sealer.seal_model(TARGET, **PLACE))
    assert b"s3cret" not in stored
    assert b"abcdefghijklmnop" not in stored
    assert sealer.open_model(Target, orjson.loads(stored), **PLACE) == TARGET


def test_a_model_with_aliases_survives_too(sealer: Sealer) -> None:
    model = Aliased.model_validate({"pass-word": "s3cret"})
    assert sealer.open_model(Aliased, sealer.seal_model(model, **PLACE), **PLACE) == model


def test_a_sealed_model_cannot_be_moved_to_another_subscription(sealer: Sealer) -> None:
    document = sealer.seal_model(TARGET, **PLACE)
    with pytest.raises(SealBroken):
        sealer.open_model(Target, document, tenant="acme", owner="sub_2")


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("short", MASK),
        ("correct-horse-battery", MASK),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", f"whsec_{MASK}LaSw"),
        ("xoxb-1234", f"xoxb-{MASK}"),
        (WEBHOOK, f"https://hooks.slack.example/{MASK}mnop"),
        ("https://user:pass@example.com/x", f"https://{MASK}"),
        ("tgram://token/chat", f"tgram://{MASK}"),
        ("http://[broken", f"http://{MASK}"),
    ],
)
def test_a_mask_shows_what_kind_a_secret_is_and_no_secret(secret: str, shown: str) -> None:
    assert mask(secret) == shown


def test_a_masked_model_shows_no_secret() -> None:
    shown = mask_model(TARGET)
    assert "s3cret" not in repr(shown)
    assert shown["url"] == "https://example.com"
    assert shown["headers"]["X-Key"] == MASK
    assert shown["tokens"] == [MASK, MASK]
    assert shown["previous_secrets"] == [{"secret": f"whsec_{MASK}", "expires_at": "2026-11-24T00:00:00Z"}]
    assert orjson.loads(orjson.dumps(shown)) == shown


def test_members_that_are_null_are_not_shown() -> None:
    assert "webhook" not in mask_model(Target(secret=SecretStr("x")))


def test_what_is_shown_can_be_sent_back_without_changing_a_secret() -> None:
    assert Target.model_validate(unmask(mask_model(TARGET), TARGET)) == TARGET
    assert reveal_model(TARGET)["webhook"] == WEBHOOK


def test_a_new_secret_in_a_patch_is_taken() -> None:
    patch: dict[str, Any] = {"secret": "whsec_new", "headers": {"X-Key": MASK, "X-New": "n", "X-Old": None}}
    assert unmask(patch, TARGET) == {
        "secret": "whsec_new",
        "headers": {"X-Key": "header-s3cret", "X-New": "n", "X-Old": None},
    }


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        ({"headers": {"X-Renamed": MASK}}, "/target/headers/X-Renamed"),
        ({"secret": f"whsec_{MASK}none"}, "/target/secret"),
        ({"url": MASK}, "/target/url"),
        ({"tokens": [MASK, MASK, MASK]}, "/target/tokens/2"),
    ],
)
def test_a_mask_without_its_secret_is_refused(patch: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        unmask(patch, TARGET, "target")
    assert [fault.pointer for fault in caught.value.errors] == [pointer]
