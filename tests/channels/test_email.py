from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from channels.base import ChannelUnavailable, SendFailed
from channels.email import EmailChannel, EmailTarget
from hub.testing.clock import START
from hub.testing.messages import MESSAGE, message
from hub.testing.receivers import Receiver
from tests.channels.conftest import MakeContext
from tests.smtp import MailServer, Received

FROM = {"email_from": "The Shop <shop@example.com>"}


def to(*addresses: str, **members: Any) -> EmailTarget:
    return EmailTarget.model_validate({"to": list(addresses), **members})


async def sent(make_context: MakeContext, target: EmailTarget, **changes: Any) -> Received:
    async with MailServer() as server:
        channel = EmailChannel(make_context(smtp_url=server.url, **FROM))
        await channel.send(message(**changes), target)
        await channel.aclose()
    (received,) = server.mails
    return received


async def refused(make_context: MakeContext, target: EmailTarget, **changes: Any) -> SendFailed:
    async with MailServer() as server:
        channel = EmailChannel(make_context(smtp_url=server.url, **FROM))
        with pytest.raises(SendFailed) as caught:
            await channel.send(message(**changes), target)
        await channel.aclose()
    assert server.mails == []
    return caught.value


async def test_a_message_becomes_a_mail(make_context: MakeContext) -> None:
    target = to("ann@example.com", cc=["Cc <cc@example.com>"], bcc=["bcc@example.com"], reply_to="help@example.com")
    received = await sent(make_context, target)
    mail = received.message
    assert received.sender == "shop@example.com"
    assert received.recipients == ("ann@example.com", "cc@example.com", "bcc@example.com")
    assert (mail["Subject"], mail["Reply-To"], mail["Bcc"]) == ("Order 1001", "help@example.com", None)
    assert mail["Message-ID"] == f"<{MESSAGE.delivery_id}@example.com>"
    assert parsedate_to_datetime(mail["Date"]) == START
    assert [part.get_content().strip() for part in mail.iter_parts()] == ["Order 1001", "<p>Order 1001</p>"]


async def test_the_targets_own_sender_comes_first(make_context: MakeContext) -> None:
    received = await sent(make_context, to("ann@example.com", **{"from": "Billing <billing@other.example.com>"}))
    assert received.sender == "billing@other.example.com"
    assert received.message["Message-ID"].endswith("@other.example.com>")


async def test_the_message_id_is_the_same_for_every_try_and_the_date_is_not(make_context: MakeContext) -> None:
    first = await sent(make_context, to("ann@example.com"))
    second = await sent(make_context, to("ann@example.com"), attempt=2, sent_at=START.replace(hour=13))
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Date"] != second.message["Date"]


async def test_addresses_that_are_rendered_empty_or_twice_are_left_out(make_context: MakeContext) -> None:
    target = to("{{ a }}", "{{ b }}").rendered(
        {"to": ["", "ann@example.com", "ANN@example.com"], "cc": ["Ann <ann@example.com>", "bob@example.com"]}
    )
    received = await sent(make_context, target)
    assert received.recipients == ("ann@example.com", "bob@example.com")


@pytest.mark.parametrize(
    ("rendered", "detail"),
    [
        ([""], "no address to send to: this event has nothing for {{ a }}"),
        ([" "], "no address to send to: this event has nothing for {{ a }}"),
        (["canary"], "not a mail address"),
        (["ann@example.com, eve@example.com"], "not a mail address"),
        (["ann@example.com\r\nBcc: eve@example.com"], "not a mail address"),
    ],
)
async def test_a_rendered_address_that_cannot_be_sent_to_is_permanent(
    make_context: MakeContext, rendered: list[str], detail: str
) -> None:
    failed = await refused(make_context, to("{{ a }}").rendered({"to": rendered}))
    assert detail in failed.detail
    assert failed.permanent
    assert "canary" not in failed.detail


@pytest.mark.parametrize(
    ("subject", "kept"),
    [
        ("a\x00b", "ab"),
        ("a\x1b[31m", "a[31m"),
        ("Bill \u202efdp.exe", "Bill fdp.exe"),
        ("=?utf-8?q?a=0D=0ABcc:_eve=40example.com?=", "=utf-8?q?a=0D=0ABcc:_eve=40example.com?="),
        ("\x00", "order.created"),
    ],
)
async def test_a_subject_loses_harmful_characters_and_is_sent(
    make_context: MakeContext, subject: str, kept: str
) -> None:
    received = await sent(make_context, to("ann@example.com"), content={"subject": subject, "text": "a"})
    assert received.message["Subject"] == kept
    assert received.recipients == ("ann@example.com",)


async def test_html_without_text_gets_its_text_from_it(make_context: MakeContext) -> None:
    html = '<style>p { color: red }</style><p>Order <b>1001</b>, <a href="https://shop.example/o">see it</a></p>'
    received = await sent(make_context, to("ann@example.com"), content={"subject": "a", "html": html})
    text, shown = received.message.iter_parts()
    assert text.get_content().strip() == "Order 1001, see it <https://shop.example/o>"
    assert "<b>1001</b>" in shown.get_content()


async def test_a_text_that_is_empty_on_purpose_stays_so(make_context: MakeContext) -> None:
    received = await sent(make_context, to("ann@example.com"), content={"subject": "a", "text": "", "html": "<p>b"})
    assert received.message.get_content_type() == "text/html"


async def test_a_later_attempt_is_for_those_who_do_not_have_it(make_context: MakeContext) -> None:
    async with MailServer() as server, Receiver() as receiver:
        server.refusals = {"bob@example.com": "452 4.2.2 Mailbox full"}
        options = {"smtp_url": server.url, "resend_api_key": "a", "resend_api_url": receiver.url, **FROM}
        channel = EmailChannel(make_context(**options))
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, to("ann@example.com", "bob@example.com"))
        again = message(attempt=2, checkpoint=caught.value.checkpoint)
        await channel.send(again, to("ann@example.com", "bob@example.com", provider="resend"))
        # The operator took out who cannot be reached.
        receipt = await channel.send(again, to("ann@example.com"))
        await channel.aclose()
    assert [mail.recipients for mail in server.mails] == [("ann@example.com",)]
    assert [arrival.json()["to"] for arrival in receiver.requests] == [["bob@example.com"]]
    assert receipt.response_body == "every recipient has the mail already"


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"smtp_ehlo_name": "a b"}, "HUB_SMTP_EHLO_NAME"),
        ({"smtp_oauth_command": "gettoken"}, "HUB_SMTP_URL must name the user"),
        ({"smtp_oauth_token_url": "https://login.example/token"}, "HUB_SMTP_OAUTH_CLIENT_ID is not set"),
    ],
)
def test_options_of_smtp_that_cannot_work_are_refused_at_the_start(
    make_context: MakeContext, options: dict[str, str], detail: str
) -> None:
    with pytest.raises(ValueError, match=detail):
        EmailChannel(make_context(smtp_url="smtp://relay.example", **options))


async def test_a_line_break_in_a_subject_adds_no_header(make_context: MakeContext) -> None:
    content = {"subject": "Order\r\nBcc: eve@example.com", "text": "a"}
    received = await sent(make_context, to("ann@example.com"), content=content)
    assert received.message["Subject"] == "Order Bcc: eve@example.com"
    assert received.recipients == ("ann@example.com",)


async def test_a_long_subject_is_cut(make_context: MakeContext) -> None:
    received = await sent(make_context, to("ann@example.com"), content={"subject": "ü" * 400, "text": "a"})
    assert received.message["Subject"] == "ü" * 254 + "…"


async def test_without_a_subject_the_type_stands_there(make_context: MakeContext) -> None:
    received = await sent(make_context, to("ann@example.com"), content={"subject": "", "text": "a"})
    assert received.message["Subject"] == "order.created"


async def test_a_mail_without_content_is_not_sent(make_context: MakeContext) -> None:
    assert (await refused(make_context, to("ann@example.com"), content={"subject": "a", "text": " "})).permanent


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://example.com/u?id=1", "<https://example.com/u?id=1>"),
        ("https://example.com/>\r\nBcc: eve@example.com", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
async def test_a_link_to_unsubscribe_is_named_when_it_is_one(
    make_context: MakeContext, url: str, header: str | None
) -> None:
    target = to("ann@example.com", unsubscribe_url="{{ url }}").model_copy(update={"unsubscribe_url": url})
    received = await sent(make_context, target)
    assert received.message["List-Unsubscribe"] == header
    assert received.message["Bcc"] is None


async def test_a_private_authority_can_be_trusted(
    make_context: MakeContext, authority: trustme.CA, server_tls: Any, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with MailServer(tls=server_tls) as server:
        channel = EmailChannel(make_context(smtp_url=server.url, smtp_ca_file=str(file), **FROM))
        await channel.send(MESSAGE, to("ann@example.com"))
        await channel.aclose()
    assert server.mails[0].over_tls


async def test_the_target_chooses_the_provider_and_else_the_operator(make_context: MakeContext) -> None:
    async with Receiver() as receiver, MailServer() as server:
        options = {
            "smtp_url": server.url,
            "resend_api_key": "a",
            "resend_api_url": receiver.url,
            "postmark_server_token": "b",
            "postmark_api_url": receiver.url,
            **FROM,
        }
        for given in ({}, {"email_provider": "postmark"}):
            channel = EmailChannel(make_context(**options, **given))
            await channel.send(MESSAGE, to("ann@example.com"))
            await channel.send(MESSAGE, to("ann@example.com", provider="resend"))
            await channel.aclose()
    assert len(server.mails) == 1
    assert [arrival.path for arrival in receiver.requests] == ["/emails", "/email", "/emails"]


@pytest.mark.parametrize(
    ("options", "provider", "detail"),
    [
        ({}, None, "set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"),
        ({}, "smtp", "HUB_SMTP_URL is not set"),
        ({}, "ses", "HUB_SES_ACCESS_KEY_ID is not set"),
        ({"email_provider": "resend"}, None, "HUB_RESEND_API_KEY is not set"),
        ({"email_provider": "pigeon"}, None, "there is no mail provider with this name"),
    ],
)
async def test_mail_that_is_not_set_up_says_what_to_set(
    make_context: MakeContext, options: dict[str, str], provider: str | None, detail: str
) -> None:
    channel, target = EmailChannel(make_context(**options, **FROM)), to("ann@example.com", provider=provider)
    reason = channel.unavailable(target)
    assert reason is not None
    assert detail in reason
    with pytest.raises(ChannelUnavailable, match=detail):
        await channel.send(MESSAGE, target)


async def test_without_a_sender_that_can_be_one_it_says_what_to_set(make_context: MakeContext) -> None:
    options = {"smtp_url": "smtp://relay.example"}
    for wrong in ({}, {"email_from": "The Shop"}, {"email_from": "a@example.com, b@example.com"}):
        channel = EmailChannel(make_context(**options, **wrong))
        reason = channel.unavailable(to("ann@example.com"))
        assert reason is not None
        assert "HUB_EMAIL_FROM" in reason
        assert channel.unavailable(to("ann@example.com", **{"from": "own@example.com"})) is None
    assert EmailChannel(make_context(**options, **FROM)).unavailable(to("ann@example.com")) is None


async def test_a_check_finds_what_a_mail_would_miss(make_context: MakeContext) -> None:
    target = to("ann@example.com")
    async with MailServer() as server:
        channel = EmailChannel(make_context(smtp_url=server.url))
        await channel.check(None)
        with pytest.raises(SendFailed, match="HUB_EMAIL_FROM"):
            await channel.check(target)
        await channel.aclose()
    with pytest.raises(SendFailed, match="mail is not set up"):
        await EmailChannel(make_context(**FROM)).check(target)
    await EmailChannel(make_context()).check(None)
    assert server.mails == []


def test_a_wrong_smtp_url_is_refused_at_the_start(make_context: MakeContext) -> None:
    with pytest.raises(ValueError, match="HUB_SMTP_URL"):
        EmailChannel(make_context(smtp_url="relay.example"))


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"to": []},
        {"to": ["canary"]},
        {"to": ["a@example.com, b@example.com"]},
        {"to": ["a@example.com"], "from": "canary"},
        {"to": ["a@example.com"], "from": "{{ data.from }}"},
        {"to": ["a@example.com"], "reply_to": "canary"},
        {"to": ["a@example.com"], "provider": "pigeon"},
        {"to": ["a@example.com"] * 30, "cc": ["a@example.com"] * 30},
        {"to": ["a@example.com"], "bcc": ["a@example.com\nb@example.com"]},
    ],
)
def test_a_target_that_could_never_work_is_refused(target: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        EmailTarget.model_validate(target)
    assert "canary" not in str(caught.value)


def test_from_keeps_its_name_outside() -> None:
    target = to("a@example.com", **{"from": "shop@example.com"})
    shown = target.model_dump(mode="json", exclude_unset=True)
    assert shown == {"to": ["a@example.com"], "from": "shop@example.com"}
    assert EmailTarget.model_validate(shown) == target


def test_a_target_without_an_audience_writes_to_customers() -> None:
    stored = EmailTarget.model_validate({"to": ["ada@example.com"]})
    assert EmailChannel.templates_for(stored).built_in == "email"
    staff = EmailTarget(to=["orders@example.com"], audience="staff")
    assert EmailChannel.templates_for(staff).built_in == "email_staff"
