"""What an attempt to send a mail came to, from the answers about its recipients. See docs/decisions/0022."""

from collections.abc import Mapping
from dataclasses import dataclass

from channels.base import ChannelUnavailable, Receipt, SendFailed
from channels.mail.message import Mail
from channels.mail.progress import Progress


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recipient did not get the mail. Unless the failure is permanent, the recipient is tried again.

    Example:

        Refusal("452 Mailbox full", SendFailed("the mail server refused the message: 452 Mailbox full"))
    """

    reason: str
    """Short; shown beside the address."""
    failure: SendFailed
    """How the attempt ends when no recipient gets the mail for this reason."""


Answers = Mapping[str, Receipt | Refusal]
"""The last answer about each recipient who was tried, by address."""


def receipt(mail: Mail, answers: Answers) -> Receipt:
    """The receipt for a mail that everybody has now. Raises `SendFailed`, which names those who do not, and carries a
    checkpoint, so that the next attempt is for them alone."""
    receipts = [answer for answer in answers.values() if isinstance(answer, Receipt)]
    refusals = {one: answer for one, answer in answers.items() if isinstance(answer, Refusal)}
    taken = mail.progress.taken.union(one for one in answers if one not in refusals)
    refused = {one: why for one, why in mail.progress.refused.items() if one not in answers}
    refused |= {one: answer.reason for one, answer in refusals.items() if answer.failure.permanent}
    without = {one: refused.get(one, "") for one in mail.recipients if one not in taken}
    without |= {one: answer.reason for one, answer in refusals.items()}
    if not without:
        return receipts[-1]
    waiting = [answer.failure for answer in refusals.values() if not answer.failure.permanent]
    progress = Progress(taken, refused if waiting else {})
    # Without any, it was the receiver or the whole mail that failed, and not a part of it.
    checkpoint = None if progress == mail.progress == Progress() else progress.text()
    failure = next((answer.failure for answer in refusals.values()), None)
    if failure is not None and len(refusals) == len(mail.recipients) and len(set(without.values())) == 1:
        raise _whole(mail, failure, checkpoint)
    last = failure or receipts[-1]
    raise SendFailed(
        _shown(mail, _named(mail, without)),
        permanent=not waiting,
        retry_after=max((one.retry_after for one in waiting if one.retry_after is not None), default=None),
        status_code=last.status_code,
        response_body=_shown(mail, "\n".join(map(": ".join, without.items()))),
        checkpoint=checkpoint,
    )


def _whole(mail: Mail, failure: SendFailed, checkpoint: str | None) -> SendFailed:
    """The failure of a mail that no recipient got, all for one reason."""
    if isinstance(failure, ChannelUnavailable):
        return failure
    return SendFailed(
        _shown(mail, failure.detail),
        permanent=failure.permanent,
        retry_after=failure.retry_after,
        status_code=failure.status_code,
        response_body=failure.response_body and _shown(mail, failure.response_body),
        checkpoint=checkpoint,
    )


def _named(mail: Mail, without: Mapping[str, str]) -> str:
    """Who did not get the mail, those with the same answer together, because what is kept of it is short."""
    by_answer: dict[str, list[str]] = {}
    for address, why in without.items():
        by_answer.setdefault(why, []).append(address)
    reasons = "; ".join(f"{', '.join(addresses)} ({why})" for why, addresses in by_answer.items())
    return f"{len(without)} of {len(mail.recipients)} recipients did not get the mail: {reasons}"


def _shown(mail: Mail, text: str) -> str:
    """The text with only the beginning of each address in `bcc`: a key that reads deliveries reads this, and only
    one that manages subscriptions may know these addresses."""
    for box in mail.bcc:
        text = text.replace(box.address, f"{box.address[0]}…@{box.domain}")
    return text
