"""Email, over SMTP or through a provider's HTTP API."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import httpx
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from channels.base import (
    Channel,
    ChannelContext,
    ChannelUnavailable,
    Escape,
    Message,
    Receipt,
    Rendered,
    SendFailed,
    TargetModel,
    Templates,
)
from channels.mail import (
    PROVIDERS,
    EhloName,
    InvalidAddress,
    Mail,
    Mailbox,
    Progress,
    Provider,
    SmtpPool,
    SmtpServer,
    UnusableOption,
    header_text,
    inlined,
    open_provider,
    open_tokens,
    parse_mailbox,
    text_of,
    without_repeats,
)

MAX_RECIPIENTS = 50
"""In `to`, `cc` and `bcc` together: the lowest limit of any provider."""
MAX_SUBJECT_LENGTH = 255
TEST_MARK = "[test] "
STAFF_TEMPLATES = "email_staff"
_UNSUBSCRIBE = re.compile(r"(?:https?://|mailto:)[!-;=?-~]{1,900}", re.IGNORECASE)
"""Printable ASCII without angle brackets, so that the URL cannot end its header, and short enough for one line."""

_HTML = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<style>
body { margin: 0; padding: 24px 12px; background: #f4f5f7; color: #1c2024; font: 16px/1.5 system-ui, sans-serif; }
.card { max-width: 560px; margin: 0 auto; background: #ffffff; border-radius: 8px; padding: 28px; }
h1 { margin: 0; font-size: 20px; }
p { margin: 4px 0 20px; color: #60646c; }
th { padding: 8px 16px 8px 0; text-align: left; vertical-align: top; font-weight: 600; white-space: nowrap; }
td { padding: 8px 0; vertical-align: top; overflow-wrap: anywhere; }
.foot { margin: 20px 0 0; font-size: 13px; }
@media (prefers-color-scheme: dark) {
  body { background: #111113 !important; color: #edeef0 !important; }
  .card { background: #18191b !important; }
  p { color: #b0b4ba !important; }
}
</style>
</head>
<body>
<div class="card">
<h1>{{ type }}</h1>
<p>{{ subject | default: source }}</p>
<table role="presentation" cellspacing="0" cellpadding="0" width="100%">
{% for member in data %}{% if member[0] %}<tr><th>{{ member[0] }}</th><td>
{% if member[1].first %}{{ member[1] | json }}{% else %}{{ member[1] }}{% endif %}</td></tr>
{% else %}<tr><td>{{ member }}</td></tr>
{% endif %}{% else %}<tr><td>{{ data }}</td></tr>
{% endfor %}</table>
<p class="foot">{{ source }} · {{ time }} · {{ id }}</p>
</div>
</body>
</html>
"""

_TEXT = """\
{{ type }}{% if subject %} · {{ subject }}{% endif %}

{{ data | json: 2 }}

{{ source }} · {{ time }} · {{ id }}
"""


def _checked(text: str) -> str:
    parse_mailbox(text)
    return text


def _checked_unless_template(text: str) -> str:
    """Text with a template can be checked only once it is rendered, and may then be empty."""
    return text if not text or "{{" in text or "{%" in text else _checked(text)


Address = Annotated[str, Field(max_length=1000), AfterValidator(_checked)]
AddressTemplate = Annotated[str, Field(max_length=1000), AfterValidator(_checked_unless_template)]
Addresses = Annotated[list[AddressTemplate], Field(max_length=MAX_RECIPIENTS), Rendered()]


class EmailTarget(TargetModel):
    """Who receives the mail. Addresses may be templates such as `{{ data.customer.email }}`. An address that is empty
    once it is rendered is left out."""

    model_config = ConfigDict(
        serialize_by_alias=True,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra={
            "examples": [
                {"to": ["{{ data.customer.email }}"], "bcc": ["orders@example.com"]},
                {"to": ["orders@example.com"], "audience": "staff"},
            ]
        },
    )

    to: Annotated[Addresses, Field(min_length=1)]
    cc: Addresses = Field(default_factory=list)
    bcc: Addresses = Field(default_factory=list)
    sender: Address | None = Field(default=None, alias="from")
    """By default the operator's `HUB_EMAIL_FROM`."""
    reply_to: Annotated[AddressTemplate | None, Rendered(recipient=False)] = None
    provider: Literal["smtp", "resend", "postmark", "sendgrid", "mailgun", "ses"] | None = None
    """By default the operator's `HUB_EMAIL_PROVIDER`."""
    audience: Literal["customer", "staff"] = "customer"
    """For whom the built-in templates of order and user events are written."""
    unsubscribe_url: Annotated[str | None, Field(max_length=1000), Rendered(recipient=False)] = None
    """Where a reader can unsubscribe: https (which mail programs offer as one click), http or mailto."""

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if len(self.to) + len(self.cc) + len(self.bcc) > MAX_RECIPIENTS:
            raise ValueError(f"to, cc and bcc must have at most {MAX_RECIPIENTS} addresses together")
        return self


class EmailChannel(Channel[EmailTarget]):
    """Sends the rendered subject, text and HTML through the provider of the target, or else the operator's.

    Options: `email_provider` (by default `smtp` when `smtp_url` is set), `email_from`, `smtp_url`, `smtp_ca_file`,
    `smtp_ehlo_name`, `smtp_oauth_token_url`, `smtp_oauth_client_id`, `smtp_oauth_client_secret`, `smtp_oauth_scope`,
    `smtp_oauth_command`; `resend_api_key`; `postmark_server_token`, `postmark_message_stream`; `sendgrid_api_key`;
    `mailgun_api_key`, `mailgun_domain`; `ses_access_key_id`, `ses_secret_access_key`, `ses_session_token`,
    `ses_region`; and `<provider>_api_url` for another region or a test server.
    """

    kind = "email"
    Target = EmailTarget
    default_template: ClassVar[Mapping[str, Any]] = {
        "subject": "{{ type }}{% if subject %}: {{ subject }}{% endif %}",
        "text": _TEXT,
        "html": _HTML,
    }
    escapes: ClassVar[Mapping[str, Escape]] = {"html": "html"}
    made_from: ClassVar[Mapping[str, str]] = {"text": "html"}
    option_names = frozenset(
        """
        email_provider email_from smtp_url smtp_ca_file smtp_ehlo_name
        smtp_oauth_token_url smtp_oauth_client_id smtp_oauth_client_secret smtp_oauth_scope smtp_oauth_command
        resend_api_key resend_api_url postmark_server_token postmark_message_stream postmark_api_url
        sendgrid_api_key sendgrid_api_url mailgun_api_key mailgun_domain mailgun_api_url
        ses_access_key_id ses_secret_access_key ses_session_token ses_region ses_api_url
        """.split()  # noqa: SIM905 - a list would take one line for each name
    )

    @classmethod
    def templates_for(cls, target: EmailTarget) -> Templates:
        return Templates(cls.kind if target.audience == "customer" else STAFF_TEMPLATES, cls.escapes)

    def __init__(self, context: ChannelContext) -> None:
        super().__init__(context)
        self._open: dict[str, Provider | SmtpPool] = {}
        self._unusable: dict[str, str] = {}
        if context.options.get("smtp_url"):
            # A wrong URL stops the start of the process.
            self._open["smtp"] = _smtp(context)
        else:
            self._unusable["smtp"] = "HUB_SMTP_URL is not set"
        self._default = context.options.get("email_provider") or ("smtp" if "smtp" in self._open else "")
        for name in {*PROVIDERS, self._default} - {"smtp", ""}:
            try:
                self._open[name] = open_provider(name, context.http, context.options)
            except UnusableOption as unusable:
                self._unusable[name] = str(unusable)
        self._sender = context.options.get("email_from")
        self._wrong_sender = _fault(self._sender) if self._sender else None

    def unavailable(self, target: EmailTarget) -> str | None:
        name = target.provider or self._default
        if not name:
            return "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
        if name in self._unusable:
            return f"mail is not set up: {self._unusable[name]}"
        if target.sender:
            return None
        if not self._sender:
            return "no sender: give the target a `from`, or set HUB_EMAIL_FROM"
        return self._wrong_sender

    def host(self, target: EmailTarget) -> str:
        return f"{self.kind} by {target.provider or self._default}"

    async def send(self, message: Message, target: EmailTarget) -> Receipt:
        if (reason := self.unavailable(target)) is not None:
            raise ChannelUnavailable(reason)
        mail = self._compose(message, target)
        if not mail.missing:
            # Those who did not have it were taken out of the target meanwhile.
            return Receipt(response_body="every recipient has the mail already")
        return await self._open[target.provider or self._default].send(mail)

    async def check(self, target: EmailTarget | None) -> None:
        """Log in to the mail server. Of a target, check that it has a sender, and that its provider is set up."""
        if target is None:
            if isinstance(pool := self._open.get("smtp"), SmtpPool):
                await pool.check()
        elif (reason := self.unavailable(target)) is not None:
            raise ChannelUnavailable(reason)

    async def aclose(self) -> None:
        for provider in self._open.values():
            await provider.aclose()

    def _compose(self, message: Message, target: EmailTarget) -> Mail:
        """The mail for a message. Raises `SendFailed` when an address is not valid, or something is missing."""
        seen: set[str] = set()
        to, cc, bcc = (without_repeats(_mailboxes(texts), seen) for texts in (target.to, target.cc, target.bcc))
        if not to:
            where = ", ".join(target.templates.to)
            raise SendFailed(f"no address to send to: this event has nothing for {where}", permanent=True)
        text, html = (str(message.content.get(name) or "").strip() for name in ("text", "html"))
        if html and "text" not in message.content:
            text = text_of(html)
        if not text and not html:
            raise SendFailed("the mail has neither text nor HTML", permanent=True)
        return Mail(
            delivery_id=message.delivery_id,
            sent_at=message.sent_at,
            sender=_mailbox("from", target.sender or self._sender or ""),
            to=to,
            cc=cc,
            bcc=bcc,
            reply_to=_mailbox("reply_to", target.reply_to) if target.reply_to else None,
            subject=_subject(message),
            text=text,
            html=inlined(html),
            unsubscribe_url=_unsubscribe_url(target.unsubscribe_url),
            progress=Progress.read(message.checkpoint),
        )


def _smtp(context: ChannelContext) -> SmtpPool:
    options = context.options
    tls = httpx.create_ssl_context()
    if options.get("smtp_ca_file"):
        tls.load_verify_locations(options["smtp_ca_file"])
    server, name = SmtpServer.parse(options["smtp_url"]), EhloName(options.get("smtp_ehlo_name", ""))
    tokens = open_tokens(options, context.http)
    if tokens is not None and server.username is None:
        raise ValueError("HUB_SMTP_URL must name the user whose mailbox the OAuth token is for")
    return SmtpPool(server, tls, name=name, tokens=tokens)


def _fault(sender: str) -> str | None:
    try:
        parse_mailbox(sender)
    except InvalidAddress as error:
        return f"HUB_EMAIL_FROM: {error}"
    return None


def _mailbox(field: str, text: str) -> Mailbox:
    try:
        return parse_mailbox(text)
    except InvalidAddress as error:
        raise SendFailed(f"`{field}`: {error}", permanent=True) from None


def _mailboxes(texts: list[str]) -> list[Mailbox]:
    return [_mailbox("to, cc or bcc", text) for text in texts if text.strip()]


def _subject(message: Message) -> str:
    plain = TEST_MARK * message.test + (header_text(str(message.content.get("subject") or "")) or message.type)
    return plain if len(plain) <= MAX_SUBJECT_LENGTH else plain[: MAX_SUBJECT_LENGTH - 1] + "…"


def _unsubscribe_url(text: str | None) -> str | None:
    """The URL if it is valid; a mail without a link to unsubscribe is better than no mail."""
    return text if text and _UNSUBSCRIBE.fullmatch(text) else None
