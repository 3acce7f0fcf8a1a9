import base64
from email import message_from_bytes
from urllib.parse import parse_qs

import httpx
import pytest

from channels.base import ChannelUnavailable, SendFailed
from channels.mail import Provider, UnusableOption, open_provider
from channels.mail.providers import PROVIDERS
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.channels.mail.mails import MAIL, mail

OPTIONS = {
    "resend_api_key": "canary-resend",
    "postmark_server_token": "canary-postmark",
    "sendgrid_api_key": "canary-sendgrid",
    "mailgun_api_key": "canary-mailgun",
    "mailgun_domain": "mg.example.com",
    "ses_access_key_id": "AKIDEXAMPLE",
    "ses_secret_access_key": "canary-ses",
    "ses_region": "eu-west-1",
}
HEADERS = {
    "Message-ID": "<dlv_1@example.com>",
    "Auto-Submitted": "auto-generated",
    "List-Unsubscribe": "<https://example.com/u?id=1>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
TO = '"Jürgen, Dr." <ann@example.com>'


def provider(name: str, http: httpx.AsyncClient, receiver: Receiver) -> Provider:
    return open_provider(name, http, OPTIONS | {f"{name}_api_url": receiver.url})


async def sent(name: str, http: httpx.AsyncClient) -> Arrival:
    async with Receiver([Reply(200, '{"id":"1"}')]) as receiver:
        receipt = await provider(name, http, receiver).send(MAIL)
    assert (receipt.status_code, receipt.response_body) == (200, '{"id":"1"}')
    (arrival,) = receiver.requests
    assert arrival.method == "POST"
    return arrival


async def test_resend(http: httpx.AsyncClient) -> None:
    arrival = await sent("resend", http)
    assert arrival.path == "/emails"
    assert arrival.headers["Authorization"] == "Bearer canary-resend"
    assert arrival.json() == {
        "from": "The Shop <shop@example.com>",
        "to": [TO],
        "cc": ["cc@example.com"],
        "bcc": ["bcc@example.com"],
        "reply_to": "help@example.com",
        "subject": MAIL.subject,
        "text": MAIL.text,
        "html": MAIL.html,
        "headers": HEADERS,
    }


async def test_resend_sends_the_same_mail_once_and_a_corrected_one_again(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        resend = provider("resend", http, receiver)
        for text in ("a", "a", "b"):
            await resend.send(mail(text=text))
    keys = [arrival.headers["Idempotency-Key"] for arrival in receiver.requests]
    assert keys[0] == keys[1] != keys[2]
    assert all(key.startswith("dlv_1-") for key in keys)


async def test_postmark(http: httpx.AsyncClient) -> None:
    arrival = await sent("postmark", http)
    assert arrival.path == "/email"
    assert arrival.headers["X-Postmark-Server-Token"] == "canary-postmark"
    body = arrival.json()
    headers = {header["Name"]: header["Value"] for header in body.pop("Headers")}
    assert headers == HEADERS | {"X-PM-KeepID": "true"}
    assert body == {
        "From": "The Shop <shop@example.com>",
        "To": TO,
        "Cc": "cc@example.com",
        "Bcc": "bcc@example.com",
        "ReplyTo": "help@example.com",
        "Subject": MAIL.subject,
        "TextBody": MAIL.text,
        "HtmlBody": MAIL.html,
        "MessageStream": "outbound",
    }


async def test_sendgrid(http: httpx.AsyncClient) -> None:
    arrival = await sent("sendgrid", http)
    assert arrival.path == "/v3/mail/send"
    assert arrival.headers["Authorization"] == "Bearer canary-sendgrid"
    assert arrival.json() == {
        "personalizations": [
            {
                "to": [{"email": "ann@example.com", "name": "Jürgen, Dr."}],
                "cc": [{"email": "cc@example.com"}],
                "bcc": [{"email": "bcc@example.com"}],
            }
        ],
        "from": {"email": "shop@example.com", "name": "The Shop"},
        "reply_to": {"email": "help@example.com"},
        "subject": MAIL.subject,
        "content": [{"type": "text/plain", "value": MAIL.text}, {"type": "text/html", "value": MAIL.html}],
        "headers": HEADERS,
    }


async def test_mailgun(http: httpx.AsyncClient) -> None:
    arrival = await sent("mailgun", http)
    assert arrival.path == "/v3/mg.example.com/messages"
    assert base64.b64decode(arrival.headers["Authorization"].removeprefix("Basic ")) == b"api:canary-mailgun"
    assert arrival.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(arrival.body.decode()) == {
        "from": ["The Shop <shop@example.com>"],
        "to": [TO],
        "cc": ["cc@example.com"],
        "bcc": ["bcc@example.com"],
        "h:Reply-To": ["help@example.com"],
        "subject": [MAIL.subject],
        "text": [MAIL.text],
        "html": [MAIL.html],
        **{f"h:{name}": [value] for name, value in HEADERS.items()},
    }


async def test_ses(http: httpx.AsyncClient) -> None:
    arrival = await sent("ses", http)
    assert arrival.path == "/v2/email/outbound-emails"
    assert arrival.headers["X-Amz-Date"] == "20261123T120000Z"
    assert "Credential=AKIDEXAMPLE/20261123/eu-west-1/ses/aws4_request" in arrival.headers["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date," in arrival.headers["Authorization"]
    body = arrival.json()
    raw = message_from_bytes(base64.b64decode(body["Content"]["Raw"]["Data"]))
    assert raw["Message-ID"] == "<dlv_1@example.com>"
    assert body["FromEmailAddress"] == "shop@example.com"
    assert body["Destination"] == {
        "ToAddresses": ["ann@example.com"],
        "CcAddresses": ["cc@example.com"],
        "BccAddresses": ["bcc@example.com"],
    }


async def test_what_is_absent_is_not_sent(http: httpx.AsyncClient) -> None:
    bare = mail(cc=(), bcc=(), reply_to=None, html="", unsubscribe_url=None)
    async with Receiver() as receiver:
        for name in ("resend", "postmark", "sendgrid"):
            await provider(name, http, receiver).send(bare)
        await provider("mailgun", http, receiver).send(bare)
    text = b"\n".join(arrival.body.lower() for arrival in receiver.requests)
    for absent in (b"cc", b"reply", b"html", b"unsubscribe", b"null"):
        assert absent not in text


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *((status, True) for status in (400, 413, 422)),
        *((status, False) for status in (302, 401, 402, 403, 404, 409, 429, 500, 503)),
    ],
)
async def test_only_a_refusal_of_the_mail_itself_is_permanent(
    http: httpx.AsyncClient, name: str, status: int, permanent: bool
) -> None:
    async with Receiver([Reply(status, "no", {"Retry-After": "9"})]) as receiver:
        with pytest.raises(SendFailed) as caught:
            await provider(name, http, receiver).send(mail(cc=(), bcc=()))
    failed = caught.value
    assert (failed.permanent, failed.status_code) == (permanent, status)
    if not isinstance(failed, ChannelUnavailable):
        assert failed.retry_after == 9.0
    assert isinstance(failed, ChannelUnavailable) == (status in {401, 402, 403, 404})
    assert (f"check HUB_{name.upper()}_" in failed.detail) == isinstance(failed, ChannelUnavailable)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_key_that_is_echoed_is_masked(http: httpx.AsyncClient, name: str) -> None:
    def echo(arrival: Arrival) -> Reply:
        return Reply(401, f"{dict(arrival.headers)}")

    async with Receiver(echo) as receiver:
        with pytest.raises(SendFailed) as caught:
            await provider(name, http, receiver).send(MAIL)
    (arrival,) = receiver.requests
    credentials = [arrival.headers.get("Authorization", ""), arrival.headers.get("X-Postmark-Server-Token", "")]
    assert caught.value.response_body is not None
    for credential in filter(None, credentials):
        assert credential.split()[-1] not in caught.value.response_body


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_missing_option_is_named(http: httpx.AsyncClient, name: str, subtests: pytest.Subtests) -> None:
    for missing in (option for option in OPTIONS if option.startswith(f"{name}_")):
        with subtests.test(missing), pytest.raises(UnusableOption, match=f"HUB_{missing.upper()} is not set"):
            open_provider(name, http, OPTIONS | {missing: ""})


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "ses_secret_access_key"])
@pytest.mark.parametrize("wrong", ["kéy", "a b", "a\nb", "a\x7fb", "\u200b"])
def test_an_option_that_would_break_the_request_is_named(http: httpx.AsyncClient, option: str, wrong: str) -> None:
    with pytest.raises(UnusableOption, match=f"HUB_{option.upper()} contains characters"):
        open_provider(option.partition("_")[0], http, OPTIONS | {option: wrong})


@pytest.mark.parametrize("url", ["api.example.com", "https://", "https://a b", "https://[", "ftp://api.example.com"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_an_address_that_cannot_be_sent_to_is_named(http: httpx.AsyncClient, name: str, url: str) -> None:
    with pytest.raises(UnusableOption, match=f"HUB_{name.upper()}_API_URL must"):
        open_provider(name, http, OPTIONS | {f"{name}_api_url": url})


@pytest.mark.parametrize(("option", "wrong"), [("mailgun_domain", "a/../b"), ("ses_region", "eu.example.com/x")])
def test_an_option_cannot_change_the_address(http: httpx.AsyncClient, option: str, wrong: str) -> None:
    with pytest.raises(UnusableOption, match=f"HUB_{option.upper()}"):
        open_provider(option.partition("_")[0], http, OPTIONS | {option: wrong})


async def test_an_unknown_provider_is_answered_with_those_there_are(http: httpx.AsyncClient) -> None:
    with pytest.raises(UnusableOption, match="smtp, resend, postmark, sendgrid, mailgun, ses"):
        open_provider("pigeon", http, {})
