"""For each mail provider with an HTTP API, a function that makes the request for a mail."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import httpx
import orjson

from channels.http import checked_url
from channels.mail.address import Mailbox
from channels.mail.message import Mail, to_bytes
from channels.mail.providers.sigv4 import Credentials, signed_headers

Options = Mapping[str, str]
Compose = Callable[[Mail], httpx.Request]

_KEY = re.compile(r"[!-~]+")
"""What can stand in a header: printable ASCII without spaces."""
_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")


class UnusableOption(Exception):
    """A setting that the provider needs is missing, or is none that it can be used with. The message names it."""


def _option(options: Options, name: str, form: re.Pattern[str] = _KEY) -> str:
    value = options.get(name, "")
    if not value:
        raise UnusableOption(f"HUB_{name.upper()} is not set")
    if not form.fullmatch(value):
        raise UnusableOption(f"HUB_{name.upper()} contains characters that cannot stand in it")
    return value


def _url(options: Options, provider: str, default: str, path: str) -> httpx.URL:
    name = f"{provider}_api_url"
    try:
        return httpx.URL(checked_url(options.get(name, default).rstrip("/") + path))
    except ValueError as error:
        raise UnusableOption(f"HUB_{name.upper()} {error}") from None


def _json(url: httpx.URL, headers: Mapping[str, str], payload: Mapping[str, object]) -> httpx.Request:
    content = orjson.dumps({name: value for name, value in payload.items() if value})
    return httpx.Request("POST", url, headers={**headers, "content-type": "application/json"}, content=content)


def _texts(boxes: tuple[Mailbox, ...]) -> list[str]:
    return [str(box) for box in boxes]


def _resend(options: Options) -> Compose:
    """https://resend.com/docs/api-reference/emails/send-email"""
    key = _option(options, "resend_api_key")
    url = _url(options, "resend", "https://api.resend.com", "/emails")

    def compose(mail: Mail) -> httpx.Request:
        payload = {
            "from": str(mail.sender),
            "to": _texts(mail.to),
            "cc": _texts(mail.cc),
            "bcc": _texts(mail.bcc),
            "reply_to": str(mail.reply_to) if mail.reply_to else None,
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "headers": mail.extra_headers,
        }
        request = _json(url, {"authorization": f"Bearer {key}"}, payload)
        # Resend sends a repeated key once. The key contains the content, so that a corrected template is a new mail.
        digest = hashlib.sha256(request.content).hexdigest()[:16]
        request.headers["idempotency-key"] = f"{mail.delivery_id}-{digest}"
        return request

    return compose


def _postmark(options: Options) -> Compose:
    """https://postmarkapp.com/developer/api/email-api"""
    key = _option(options, "postmark_server_token")
    url = _url(options, "postmark", "https://api.postmarkapp.com", "/email")
    stream = options.get("postmark_message_stream", "outbound")

    def compose(mail: Mail) -> httpx.Request:
        headers = mail.extra_headers | {"X-PM-KeepID": "true"}  # otherwise Postmark replaces the Message-ID
        payload = {
            "From": str(mail.sender),
            "To": ", ".join(_texts(mail.to)),
            "Cc": ", ".join(_texts(mail.cc)),
            "Bcc": ", ".join(_texts(mail.bcc)),
            "ReplyTo": str(mail.reply_to) if mail.reply_to else None,
            "Subject": mail.subject,
            "TextBody": mail.text,
            "HtmlBody": mail.html,
            "Headers": [{"Name": name, "Value": value} for name, value in headers.items()],
            "MessageStream": stream,
        }
        return _json(url, {"x-postmark-server-token": key, "accept": "application/json"}, payload)

    return compose


def _sendgrid(options: Options) -> Compose:
    """https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""
    key = _option(options, "sendgrid_api_key")
    url = _url(options, "sendgrid", "https://api.sendgrid.com", "/v3/mail/send")

    def person(box: Mailbox) -> dict[str, str]:
        return {"email": box.address, "name": box.name} if box.name else {"email": box.address}

    def compose(mail: Mail) -> httpx.Request:
        groups = {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}
        contents = (("text/plain", mail.text), ("text/html", mail.html))  # SendGrid requires this order
        payload = {
            "personalizations": [{name: [person(box) for box in boxes] for name, boxes in groups.items() if boxes}],
            "from": person(mail.sender),
            "reply_to": person(mail.reply_to) if mail.reply_to else None,
            "subject": mail.subject,
            "content": [{"type": kind, "value": value} for kind, value in contents if value],
            "headers": mail.extra_headers,
        }
        return _json(url, {"authorization": f"Bearer {key}"}, payload)

    return compose


def _mailgun(options: Options) -> Compose:
    """https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages"""
    token = base64.b64encode(f"api:{_option(options, 'mailgun_api_key')}".encode()).decode()
    path = f"/v3/{_option(options, 'mailgun_domain', _DOMAIN)}/messages"
    url = _url(options, "mailgun", "https://api.mailgun.net", path)

    def compose(mail: Mail) -> httpx.Request:
        fields = [("from", str(mail.sender)), ("subject", mail.subject), ("text", mail.text), ("html", mail.html)]
        fields += [("to", str(box)) for box in mail.to]
        fields += [("cc", str(box)) for box in mail.cc]
        fields += [("bcc", str(box)) for box in mail.bcc]
        fields += [(f"h:{name}", value) for name, value in mail.extra_headers.items()]
        if mail.reply_to:
            fields.append(("h:Reply-To", str(mail.reply_to)))
        content = urlencode([(name, value) for name, value in fields if value]).encode()
        headers = {"authorization": f"Basic {token}", "content-type": "application/x-www-form-urlencoded"}
        return httpx.Request("POST", url, headers=headers, content=content)

    return compose


def _ses(options: Options) -> Compose:
    """https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""
    credentials = Credentials(
        key_id=_option(options, "ses_access_key_id"),
        secret=_option(options, "ses_secret_access_key"),
        region=_option(options, "ses_region", _DOMAIN),
        service="ses",
        session_token=_option(options, "ses_session_token") if options.get("ses_session_token") else "",
    )
    endpoint = f"https://email.{credentials.region}.amazonaws.com"
    url = _url(options, "ses", endpoint, "/v2/email/outbound-emails")
    host = url.netloc.decode()

    def compose(mail: Mail) -> httpx.Request:
        groups = {"ToAddresses": mail.to, "CcAddresses": mail.cc, "BccAddresses": mail.bcc}
        payload = {
            "FromEmailAddress": mail.sender.address,
            "Destination": {name: [box.address for box in boxes] for name, boxes in groups.items()},
            "Content": {"Raw": {"Data": base64.b64encode(to_bytes(mail)).decode()}},
        }
        content = orjson.dumps(payload)
        headers = {"host": host, "content-type": "application/json"}
        headers = signed_headers(url.path, headers, content, credentials, mail.sent_at)
        return httpx.Request("POST", url, headers=headers, content=content)

    return compose


PROVIDERS: Mapping[str, Callable[[Options], Compose]] = {
    "resend": _resend,
    "postmark": _postmark,
    "sendgrid": _sendgrid,
    "mailgun": _mailgun,
    "ses": _ses,
}
