"""Secrets are taken out by name and by look, and what is harmless stays readable."""

from typing import Any

import pytest

from hub.cluster.roles import Role
from hub.telemetry.redaction import clean

GONE = "[redacted]"


def test_what_looks_like_a_text_becomes_one() -> None:
    assert repr(clean([Role.WEB])) == "['web']"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("https://user:pa@ss@example.com/x", f"https://{GONE}@example.com/x"),
        ("redis://:secret@cache:6379/0", f"redis://{GONE}@cache:6379/0"),
        ("see https://example.com/a?token=b, then", f"see https://example.com/a?{GONE} then"),
        ("https://example.com/a#access_token=b", f"https://example.com/a?{GONE}"),
        ("POST https://hooks.slack.com/services/T0/B0/zzz failed", f"POST https://hooks.slack.com/{GONE} failed"),
        (f"https://discord.com/api/webhooks/12/{'a' * 68}", f"https://discord.com/api/webhooks/12/{GONE}"),
        (f"https://api.telegram.org/bot12:{'a' * 35}/send", f"https://api.telegram.org/{GONE}/send"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/= used", f"secret {GONE} used"),
        ("whsk_abcDEF123=", GONE),
        ("xoxb-12-34-abc and xapp-1-A-2", f"{GONE} and {GONE}"),
        ("hub_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c_pZ0-a_b", GONE),
        ("Authorization: Bearer abcdefgh12.x-y", f"Authorization: Bearer {GONE}"),
        ("basic dXNlcjpwYXNz", f"basic {GONE}"),
        (
            "1 of 2: ann+x@mail.example.com (452 <ann+x@mail.example.com> full)",
            f"1 of 2: {GONE}@mail.example.com (452 <{GONE}@mail.example.com> full)",
        ),
        ("root@localhost", f"{GONE}@localhost"),
    ],
)
def test_secrets_are_known_by_their_look(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)",
        "no answer from https://example.com/hooks/orders within 15 s",
        "a basic understanding of bearer authentication",
        "evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c",
        "hub_attempts_total",
        "order.created",
        "@ 5 s, a @b",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Authorization",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "bot_token",
        "webhook-secret",
        "Set-Cookie",
        "keys",
    ],
)
def test_secrets_are_known_by_their_name(name: str) -> None:
    assert clean("plain", name) == GONE
    assert clean({"sub": "plain"}, name) == GONE


@pytest.mark.parametrize("name", ["ordering_key", "key_id", "secretary", "monkey", "tokens_left", "url"])
def test_harmless_names_stay(name: str) -> None:
    assert clean("plain", name) == "plain"


@pytest.mark.parametrize("value", [7, 1.5, True, None])
def test_a_number_is_no_secret_whatever_its_name(value: Any) -> None:
    assert clean(value, "token") is value


def test_it_looks_into_what_is_nested() -> None:
    found = clean({"target": {"headers": [{"authorization": "x"}], "urls": ("https://u:p@h",)}, 5: {"whsec_abc"}})
    assert found == {"target": {"headers": [{"authorization": GONE}], "urls": [f"https://{GONE}@h"]}, "5": [GONE]}


def test_what_is_nested_too_deep_is_not_shown() -> None:
    nested: Any = "whsec_abc"
    for _ in range(100):
        nested = [nested]
    assert "whsec" not in str(clean(nested))


def test_other_objects_are_shown_as_their_clean_text() -> None:
    assert clean(ValueError("https://u:p@h/")) == f"ValueError('https://{GONE}@h/')"
