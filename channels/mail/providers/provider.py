"""Handing one mail to a provider, and what its answers say of each recipient."""

import asyncio
import re
from collections.abc import Iterator

import httpx

from channels.base import ChannelUnavailable, Receipt, SendFailed
from channels.http import deliver, excerpt, failure
from channels.mail.address import header_text
from channels.mail.message import Mail
from channels.mail.outcome import Answers, Refusal, receipt
from channels.mail.progress import Progress
from channels.mail.providers.requests import PROVIDERS, Compose, Options, UnusableOption

MAX_REQUESTS = 4
"""How many requests for single recipients of one mail are made at once."""
_RECIPIENT_AT_FAULT = frozenset({400, 422})
"""The provider refuses this mail, perhaps because of one recipient."""
_MESSAGE_AT_FAULT = _RECIPIENT_AT_FAULT | {413}
_OPERATOR_AT_FAULT = frozenset({401, 402, 403, 404})
"""The provider refuses the key, the account or the address: it would refuse every mail until a setting is right."""
_SETTINGS = {
    "resend": "HUB_RESEND_API_KEY",
    "postmark": "HUB_POSTMARK_SERVER_TOKEN",
    "sendgrid": "HUB_SENDGRID_API_KEY",
    "mailgun": "HUB_MAILGUN_API_KEY and HUB_MAILGUN_DOMAIN",
    "ses": "HUB_SES_ACCESS_KEY_ID, HUB_SES_SECRET_ACCESS_KEY and HUB_SES_REGION",
}
"""What a provider knows the operator by."""
_CREDENTIALS = ("authorization", "x-postmark-server-token", "x-amz-security-token")
_INACTIVE = re.compile(r'will not deliver to these inactive addresses: ([^"]+)')
"""In Postmark's answer to a mail that it took for the other recipients."""
_ANSWER_CHARS = 200
_NOT_TRIED = Refusal("not tried yet", SendFailed("the provider was not asked"))
_UNANSWERED = Refusal("no answer in time", SendFailed("the provider did not answer in time"))


class Provider:
    """Sends mails through one provider."""

    def __init__(self, http: httpx.AsyncClient, name: str, compose: Compose) -> None:
        self._http = http
        self._name = name
        self._compose = compose

    async def send(self, mail: Mail) -> Receipt:
        """Submit the mail to those of its recipients who do not have it. Raises `SendFailed`.

        The first request is for everybody, so that readers see each other. When the provider refuses it, perhaps for
        one recipient, each of them gets a request, and so does each who is tried again. The failure names those who
        were not taken and carries a checkpoint, so that the next attempt is for them alone.
        """
        missing = mail.missing
        if mail.progress == Progress() or len(missing) == 1:
            answers = await self._submit(mail.to_only(missing))
            if len(missing) == 1 or not any(map(_may_be_about_one, answers.values())):
                return receipt(mail, answers)
        return receipt(mail, await self._submit_each(mail))

    async def aclose(self) -> None:
        """Nothing to close: the client is shared."""

    async def _submit_each(self, mail: Mail) -> Answers:
        answers: dict[str, Receipt | Refusal] = dict.fromkeys(mail.missing, _NOT_TRIED)
        recipients = iter(mail.missing)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(MAX_REQUESTS):
                    group.create_task(self._submit_next(mail, recipients, answers))
        except asyncio.CancelledError:
            # The attempt has run out of its time, or the hub stops. Who has the mail by now has to be kept.
            pass
        return answers

    async def _submit_next(self, mail: Mail, recipients: Iterator[str], answers: dict[str, Receipt | Refusal]) -> None:
        """Submit the mail to one recipient after the other, until the provider wants no more requests."""
        for recipient in recipients:
            answers[recipient] = _UNANSWERED
            answers |= await self._submit(mail.to_only({recipient}))
            if _ends_requests(answers[recipient]):
                return

    async def _submit(self, mail: Mail) -> Answers:
        """Make one request for a mail, whose answer is about all of its recipients."""
        request = self._compose(mail)
        try:
            response = await deliver(self._http, request)
        except SendFailed as failed:
            return dict.fromkeys(mail.recipients, Refusal(failed.detail, failed))
        secrets = [request.headers[name].rpartition(" ")[2] for name in _CREDENTIALS if name in request.headers]
        body = excerpt(response, secrets)
        if response.is_success:
            taken = Receipt(response.status_code, body)
            left_out = self._inactive(response)
            return {one: left_out.get(one.casefold(), taken) for one in mail.recipients}
        status = f"{response.status_code} {response.reason_phrase}".rstrip()
        reason = header_text(f"{status}: {body}" if body else status)[:_ANSWER_CHARS].rstrip()
        return dict.fromkeys(mail.recipients, Refusal(reason, self._failed(response, mail, status, secrets)))

    def _failed(self, response: httpx.Response, mail: Mail, status: str, secrets: list[str]) -> SendFailed:
        detail = f"{self._name} answered {status}"
        if response.status_code in _OPERATOR_AT_FAULT:
            return ChannelUnavailable(
                f"{detail}; check {_SETTINGS[self._name]}, and what the account may send",
                status_code=response.status_code,
                response_body=excerpt(response, secrets),
            )
        permanent = response.status_code in _MESSAGE_AT_FAULT
        return failure(response, mail.sent_at, detail, permanent=permanent, secrets=secrets)

    def _inactive(self, response: httpx.Response) -> dict[str, Refusal]:
        """Whom Postmark left out of a mail that it took for others:
        https://postmarkapp.com/developer/api/overview#error-code-406"""
        found = _INACTIVE.search(response.text) if self._name == "postmark" else None
        if found is None:
            return {}
        reason = "Postmark has it as inactive"
        refusal = Refusal(reason, SendFailed(reason, permanent=True, status_code=response.status_code))
        return {address.strip(". ").casefold(): refusal for address in found[1].split(",")}


def _may_be_about_one(answer: Receipt | Refusal) -> bool:
    return isinstance(answer, Refusal) and answer.failure.status_code in _RECIPIENT_AT_FAULT


def _ends_requests(answer: Receipt | Refusal) -> bool:
    """Whether the provider would answer the same about every other recipient."""
    codes = _OPERATOR_AT_FAULT | {httpx.codes.TOO_MANY_REQUESTS}
    return isinstance(answer, Refusal) and answer.failure.status_code in codes


def open_provider(name: str, http: httpx.AsyncClient, options: Options) -> Provider:
    """The provider with this name. Raises `UnusableOption`, also for a name that is not in `PROVIDERS`."""
    if name not in PROVIDERS:
        raise UnusableOption(f"there is no mail provider with this name; use one of smtp, {', '.join(PROVIDERS)}")
    return Provider(http, name, PROVIDERS[name](options))
