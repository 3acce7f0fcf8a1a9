"""The templates that come with the hub."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from channels.block_kit import fitted_blocks
from channels.email import STAFF_TEMPLATES, EmailChannel, EmailTarget
from channels.slack import SlackChannel
from hub.catalogue.event_types import BUILT_IN
from hub.rendering import Renderer
from hub.rendering.builtin import built_in_templates
from tests.hub.rendering.conftest import seen

LEAST_ORDER = {"order_id": "7", "total": "1", "currency": "EUR", "customer": {"email": "a@example.com"}, "items": []}
LEAST_USER = {"user_id": "7", "email": "a@example.com"}
HOSTILE = "<script>alert(1)</script>&\"'<!channel>"
TO = ["a@example.com"]
READERS = [EmailTarget(to=TO), EmailTarget(to=TO, audience="staff")]
VOID = {"meta", "br", "img", "hr", "link", "input"}


@pytest.fixture(scope="module")
def shipped() -> Renderer:
    return Renderer({"email": EmailChannel, "slack": SlackChannel})


def least(event_type: str) -> dict[str, Any]:
    return dict(LEAST_ORDER if event_type.startswith("order.") else LEAST_USER)


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def hostile(value: Any) -> Any:
    """The same data with every text that may be any text replaced."""
    if isinstance(value, dict):
        kept = {"total", "currency", "quantity", "unit_price", "email"}
        return {name: inner if name in kept else hostile(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    return HOSTILE if isinstance(value, str) else value


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


by_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.audience)


@pytest.mark.parametrize("kind", ["email", STAFF_TEMPLATES, "slack"])
def test_every_built_in_type_has_a_template_for_every_field(kind: str) -> None:
    expected = SlackChannel.default_template if kind == "slack" else EmailChannel.default_template
    templates = built_in_templates(kind)
    assert templates.keys() == BUILT_IN.keys()
    assert all(fields.keys() == expected.keys() for fields in templates.values())


@by_reader
@pytest.mark.parametrize("event_type", BUILT_IN)
def test_a_mail_is_whole_with_all_members_and_with_the_least(
    shipped: Renderer, event_type: str, reader: EmailTarget
) -> None:
    for data in (BUILT_IN[event_type].example, least(event_type)):
        mail = shipped.content("email", seen(data, event_type), None, reader)
        assert "\n" not in mail["subject"]
        assert 5 < len(mail["subject"]) < 80
        balance = Balance()
        balance.feed(mail["html"])
        assert balance.open == []
        for text in mail.values():
            assert not re.search(r"\{\{|\}\}|\{%|None|\bnil\b|Undefined", text)
        assert not re.search(r"\n{3,}|[ \t]\n(?!\S)", mail["text"].replace("-- \n", ""))
        assert not re.search(r"\bby \.|\bon \.|\bto \.|href=\"\"", mail["html"])


@by_reader
@pytest.mark.parametrize("event_type", [name for name in BUILT_IN if name.startswith("order.")])
def test_mail_and_message_of_an_order_name_it_and_its_sum(
    shipped: Renderer, event_type: str, reader: EmailTarget
) -> None:
    event = seen(BUILT_IN[event_type].example, event_type)
    mail = shipped.content("email", event, None, reader)
    assert "1001" in mail["subject"]
    for text in (mail["html"], mail["text"]):
        assert "EUR\N{NO-BREAK SPACE}129.90" in text
        assert "EUR\N{NO-BREAK SPACE}29.90" in text
        assert "Enamel mug" in text
    assert "1001" in shipped.content("slack", event, None)["text"]


@pytest.mark.parametrize("event_type", BUILT_IN)
def test_staff_read_what_happened_and_to_whom_with_the_link(shipped: Renderer, event_type: str) -> None:
    data = {**BUILT_IN[event_type].example, "url": "https://shop.example.com/here"}
    for_customer, for_staff = (shipped.content("email", seen(data, event_type), None, reader) for reader in READERS)
    assert for_customer["subject"] != for_staff["subject"]
    happened = for_staff["subject"].split(":")[0]
    for text in (for_staff["html"], for_staff["text"]):
        assert happened in text
        assert all(told in text for told in ("Ada Lovelace", "ada@example.com", "https://shop.example.com/here"))
        assert not re.search(r"(?i)\b(your|welcome|hello|you)\b", text)
        told = {"payment_method", "carrier", "tracking_number", "reason", "user_id"} & data.keys()
        assert all(data[name] in text for name in told)
    for secret in ("/verify/", "/reset/"):
        assert secret not in str(for_staff)


@by_reader
@pytest.mark.parametrize("event_type", BUILT_IN)
def test_nothing_that_was_sent_becomes_markup(shipped: Renderer, event_type: str, reader: EmailTarget) -> None:
    event = seen(hostile(BUILT_IN[event_type].example), event_type)
    mail = shipped.content("email", event, None, reader)
    assert "<script" not in mail["html"]
    assert '"&lt;script' not in mail["html"].replace('content="', "")
    balance = Balance()
    balance.feed(mail["html"])
    assert balance.open == []
    slack = strings(shipped.content("slack", event, None))
    assert all("<!" not in text and "<script" not in text for text in slack)


@by_reader
@pytest.mark.parametrize("event_type", BUILT_IN)
def test_only_web_addresses_become_links(shipped: Renderer, event_type: str, reader: EmailTarget) -> None:
    data = {
        name: "javascript:alert(1)" if name.endswith("url") else value
        for name, value in BUILT_IN[event_type].example.items()
    }
    event = seen({**data, "shop": {"name": "S", "url": "javascript:alert(1)"}}, event_type)
    assert "javascript" not in str(shipped.content("email", event, None, reader))
    assert "javascript" not in str(shipped.content("slack", event, None))


@pytest.mark.parametrize("event_type", BUILT_IN)
def test_blocks_are_what_slack_takes(shipped: Renderer, event_type: str) -> None:
    message = shipped.content("slack", seen(BUILT_IN[event_type].example, event_type), None)
    kinds = [block["type"] for block in message["blocks"]]
    assert kinds[0] == "header"
    assert kinds[-1] == "context"
    header = message["blocks"][0]["text"]
    assert header["type"] == "plain_text"
    assert 0 < len(header["text"]) <= 150
    fields = message["blocks"][1]["fields"]
    assert 0 < len(fields) <= 10
    assert all(field["type"] == "mrkdwn" and len(field["text"]) <= 2_000 for field in fields)
    assert message["text"]


def test_links_and_tokens_of_an_account_are_never_shown_in_slack(shipped: Renderer) -> None:
    for event_type in ("user.password_reset_requested", "user.registered"):
        secret = {"reset_url": "https://x.example/s3cret", "verify_url": "https://x.example/s3cret"}
        data = {**BUILT_IN[event_type].example, **secret, "token": "s3cret", "reset_token": "s3cret"}
        assert "s3cret" not in str(shipped.content("slack", seen(data, event_type), None))


@pytest.mark.parametrize("data", ["```x", "x``", {"a": "`ls` ```"}, "&" * 3_000, {"html": "<p>" * 900}, "x" * 9_000])
def test_no_data_end_the_code_block_in_slack(shipped: Renderer, data: Any) -> None:
    message = shipped.content("slack", seen(data), None)
    code = fitted_blocks(message["blocks"])[1]["text"]["text"]
    assert (code[:3], code[-3:], code.count("```"), code.count("````")) == ("```", "```", 2, 0)


def test_a_long_order_is_cut_and_says_so(shipped: Renderer) -> None:
    data = {**LEAST_ORDER, "items": [{"sku": f"S{n}", "quantity": 1, "unit_price": "1"} for n in range(200)]}
    event = seen(data, "order.created")
    mail = shipped.content("email", event, None)
    assert "and 150 more" in mail["html"]
    assert "and 150 more" in mail["text"]
    assert "… and 190 more" in str(shipped.content("slack", event, None))


def test_a_subscription_may_replace_one_field(shipped: Renderer) -> None:
    event = seen(BUILT_IN["order.created"].example, "order.created")
    mail = shipped.content("email", event, {"subject": "Yours: {{ data.order_id }}"})
    assert mail["subject"] == "Yours: 1001"
    assert "Thank you for your order" in mail["html"]
