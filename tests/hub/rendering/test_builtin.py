"""The templates that come with the hub."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.block_kit import fitted_blocks
from channels.email import STAFF_TEMPLATES, EmailChannel, EmailTarget
from channels.slack import SlackChannel
from channels.webhook import WebhookChannel, WebhookTarget
from hub.catalogue.event_types import BUILT_IN, validate_builtin
from hub.errors import Fault, Invalid
from hub.rendering import Renderer
from hub.rendering.builtin import built_in_templates
from tests.hub.rendering.conftest import seen

LEAST_ORDER = {"order_id": "7"}
LEAST_USER = {"user_id": "7", "email": "a@example.com"}
HOSTILE = "<script>alert(1)</script>&\"'<!channel>"
TO = ["a@example.com"]
READERS = [EmailTarget(to=TO), EmailTarget(to=TO, audience="staff")]
VOID = {"meta", "br", "img", "hr", "link", "input"}


@pytest.fixture(scope="module")
def shipped() -> Renderer:
    return Renderer({"email": EmailChannel, "slack": SlackChannel, "webhook": WebhookChannel})


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


class Page(HTMLParser):
    """The elements that are open, and the text as a reader sees it, each block on lines of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self._text = ""

    @property
    def lines(self) -> list[str]:
        return list(filter(None, map(str.strip, self._text.splitlines())))

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self._text += data.replace("\n", " ")

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._break(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._break(tag)
        assert self.open.pop() == tag

    def _break(self, tag: str) -> None:
        if tag not in {"a", "span", "strong"}:
            self._text += "\n"


by_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.audience)


@pytest.mark.parametrize("kind", ["email", STAFF_TEMPLATES, "slack"])
def test_every_built_in_type_has_a_template_for_every_field(kind: str) -> None:
    expected = SlackChannel.default_template if kind == "slack" else EmailChannel.default_template
    templates = built_in_templates(kind)
    assert templates.keys() == BUILT_IN.keys()
    assert all(fields.keys() == expected.keys() for fields in templates.values())


DANGLING = re.compile(
    r"\{\{|\}\}|\{%|None|\bnil\b|null|Undefined|[ \t]$|^ *[:,·×] | [:,.·×] *$|  |^• *$|\n\n\n", re.MULTILINE
)
"""What shows that a text was made around something that is missing."""


def members(value: Any, *place: str | int) -> list[tuple[str | int, ...]]:
    """The places of all that may be missing from an example."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    required = {"order_id", "user_id", "quantity"} | ({"email"} if "user_id" in value else set())
    found = [(*place, name) for name, _ in inner if name not in required and isinstance(value, dict)]
    return found + [deeper for name, one in inner for deeper in members(one, *place, name)] if inner else found


def without(data: Any, places: set[tuple[str | int, ...]], nulls: set[tuple[str | int, ...]], *here: str | int) -> Any:
    if isinstance(data, dict):
        return {
            name: None if (*here, name) in nulls else without(inner, places, nulls, *here, name)
            for name, inner in data.items()
            if (*here, name) not in places
        }
    return (
        [without(one, places, nulls, *here, index) for index, one in enumerate(data)]
        if isinstance(data, list)
        else data
    )


@pytest.mark.parametrize("event_type", BUILT_IN)
@given(draw=st.data())
@settings(max_examples=8)
def test_a_message_reads_well_whatever_is_missing(shipped: Renderer, event_type: str, draw: st.DataObject) -> None:
    example = BUILT_IN[event_type].example
    places = st.sets(st.sampled_from(members(example)))
    data = without(example, draw.draw(places), draw.draw(places))
    assert validate_builtin(event_type, data) == ()
    mail = shipped.content("email", seen(data, event_type), None)
    slack = shipped.content("slack", seen(data, event_type), None)
    page = Page()
    page.feed(mail["html"])
    for text in (mail["subject"], mail["text"].replace("-- \n", ""), *page.lines, *strings(slack)):
        assert not DANGLING.search(text), text
    assert page.open == []
    assert not re.search(
        r"<(p|td|strong|h1|span)[^>]*></\1>", mail["html"].replace('<td class="amount" align="right"></td>', "")
    )
    assert len(slack["text"]) > 10


@pytest.mark.parametrize(
    ("missing", "town"), [(set(), "SW1Y 4JH London"), ({"city"}, "SW1Y 4JH"), ({"postal_code"}, "London")]
)
def test_an_address_is_shown_by_what_is_known(shipped: Renderer, missing: set[str], town: str) -> None:
    example = BUILT_IN["order.created"].example
    address = {name: value for name, value in example["shipping_address"].items() if name not in missing}
    mail = shipped.content("email", seen({**example, "shipping_address": address}, "order.created"), None)
    assert f"12 St James's Square\n{town}\nGB" in mail["text"]
    assert f"<br>{town}<br>GB" in mail["html"]


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ({"name": "Mug", "sku": "M", "quantity": 1, "unit_price": "14.95"}, "Mug · EUR 14.95"),
        ({"sku": "M", "quantity": 3, "unit_price": "1.10"}, "M × 3 · EUR 3.30"),
        ({"sku": 207119551, "quantity": 2.0, "unit_price": "0.10"}, "207119551 × 2 · EUR 0.20"),
        ({"name": "Cheese", "quantity": 0.35, "unit_price": "18.00"}, "Cheese × 0.35 · at EUR 18.00"),
        ({"name": "", "sku": None, "quantity": 1}, "Item"),
        ({"name": "Gift wrap", "quantity": 2, "unit_price": None}, "Gift wrap × 2"),
    ],
)
def test_a_line_of_an_order_shows_what_there_is(shipped: Renderer, item: dict[str, Any], line: str) -> None:
    event = seen({"order_id": "1", "currency": "eur", "items": [item]}, "order.created")
    (shown,) = [
        text.removeprefix("• ").strip()
        for text in strings(shipped.content("slack", event, None)["blocks"])
        if text.startswith("•")
    ]
    assert shown.replace("\N{NO-BREAK SPACE}", " ") == line
    mail = shipped.content("email", event, None)["text"].replace("\N{NO-BREAK SPACE}", " ")
    assert f"- {line.replace(' · ', ': ')}\n" in mail


@pytest.mark.parametrize(
    ("customer", "shown"),
    [
        (None, None),
        ({}, None),
        ({"name": None, "email": ""}, None),
        ({"name": "Ada"}, "*Customer*\nAda"),
        ({"name": "", "email": "ada@example.com"}, "*Customer*\nada@example.com"),
        ({"name": "Ada", "email": "ada@example.com"}, "*Customer*\nAda\nada@example.com"),
    ],
)
def test_a_customer_is_shown_by_what_is_known(shipped: Renderer, customer: Any, shown: str | None) -> None:
    event = seen({"order_id": "1", "customer": customer}, "order.created")
    found = [text for text in strings(shipped.content("slack", event, None)["blocks"]) if "Customer" in text]
    assert found == ([shown] if shown else [])
    greeting = "Hello Ada," if customer and customer.get("name") else "Hello,"
    assert greeting in shipped.content("email", event, None)["text"]


@by_reader
@pytest.mark.parametrize("event_type", BUILT_IN)
def test_a_mail_is_whole_with_all_members_and_with_the_least(
    shipped: Renderer, event_type: str, reader: EmailTarget
) -> None:
    for data in (BUILT_IN[event_type].example, least(event_type)):
        mail = shipped.content("email", seen(data, event_type), None, reader)
        assert "\n" not in mail["subject"]
        assert 5 < len(mail["subject"]) < 80
        page = Page()
        page.feed(mail["html"])
        assert page.open == []
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
    page = Page()
    page.feed(mail["html"])
    assert page.open == []
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


@pytest.mark.parametrize("field", ["body", "text"])
def test_a_template_for_a_target_without_one_is_told_what_has_one(shipped: Renderer, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        shipped.check("webhook", {field: "{{ data.order_id }}"}, WebhookTarget(url="https://example.com/hooks"))
    detail = "is for other targets of this channel: they have body, and this one has no template"
    assert caught.value.errors == (Fault(detail, f"/template/{field}"),)


@pytest.mark.parametrize("event_type", ["order.created", "stock.low"])
def test_an_overridden_text_is_the_whole_message_in_slack(shipped: Renderer, event_type: str) -> None:
    event = seen({"order_id": "1"}, event_type)
    assert shipped.content("slack", event, {"text": "{{ data.order_id }}"}) == {"text": "1"}
    assert shipped.content("slack", event, {"text": "t", "blocks": []}) == {"text": "t", "blocks": []}
    assert shipped.content("slack", event, {"blocks": []})["text"]


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
