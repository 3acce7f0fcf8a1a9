"""Handing one mail to a mail server, and what its answers say of each recipient."""

from contextlib import suppress

import aiosmtplib
from aiosmtplib.typing import SMTPStatus

from channels.base import Receipt, SendFailed
from channels.mail.address import header_text
from channels.mail.message import Mail, to_bytes
from channels.mail.outcome import Answers, Refusal
from channels.mail.smtp.failures import is_login, is_permanent, is_taken, refused_login, said

DATA_SECONDS = 30.0
"""A server may read the whole message before it answers. The caller limits the attempt."""
_ANSWER_CHARS = 200
_NO_SMTPUTF8 = aiosmtplib.SMTPResponse(553, "the mail server does not support addresses that are not ASCII")


async def begin(smtp: aiosmtplib.SMTP, mail: Mail, seconds: float) -> None:
    """Name the sender. Raises `SMTPException` when there is no good answer within `seconds`, and `SendFailed` when the
    mail cannot be sent through this server at all."""
    if not mail.is_international or smtp.supports_extension("smtputf8"):
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.is_international else []
        encoding = "utf-8" if mail.is_international else "ascii"
        await smtp.mail(mail.sender.address, options=options, encoding=encoding, timeout=seconds)
    elif (in_ascii := mail.in_ascii()) is not None:
        await smtp.mail(in_ascii.sender.address, timeout=seconds)
    else:
        raise SendFailed(_NO_SMTPUTF8.message, permanent=True)


async def submit(smtp: aiosmtplib.SMTP, mail: Mail) -> Answers:
    """Name the recipients who do not have the mail yet, and send it to those whom the server takes.

    Raises `SMTPException` when the connection ends or the server closes it. After a refusal of the message the
    connection is closed.
    """
    encoding = "ascii"
    answers: dict[str, aiosmtplib.SMTPResponse] = {}
    missing = mail.missing
    if mail.is_international and smtp.supports_extension("smtputf8"):
        encoding = "utf-8"
    elif (in_ascii := mail.in_ascii()) is not None:
        answers = {one: _NO_SMTPUTF8 for one in missing if not one.isascii()}
        mail = in_ascii
    for recipient in missing:
        if recipient not in answers:
            answers[recipient] = await _name(smtp, recipient, encoding)
    named = [recipient for recipient, answer in answers.items() if is_taken(answer.code)]
    if named:
        answer = await _send(smtp, to_bytes(mail))
        answers |= dict.fromkeys(named, answer)
    else:
        # A connection on which this fails is replaced when it is used again.
        with suppress(aiosmtplib.SMTPException):
            await smtp.rset()
    return {one: _judged(answer) for one, answer in answers.items()}


async def _name(smtp: aiosmtplib.SMTP, recipient: str, encoding: str) -> aiosmtplib.SMTPResponse:
    try:
        return await smtp.rcpt(recipient, encoding=encoding)
    except aiosmtplib.SMTPRecipientRefused as error:
        if error.code == SMTPStatus.domain_unavailable:
            # 421: the server closes the connection, so it says nothing about this recipient.
            raise
        return aiosmtplib.SMTPResponse(error.code, error.message)


async def _send(smtp: aiosmtplib.SMTP, content: bytes) -> aiosmtplib.SMTPResponse:
    try:
        return await smtp.data(content, timeout=DATA_SECONDS)
    except aiosmtplib.SMTPDataError as error:
        if not is_taken(error.code):
            smtp.close()
        return aiosmtplib.SMTPResponse(error.code, error.message)


def _judged(answer: aiosmtplib.SMTPResponse) -> Receipt | Refusal:
    if is_taken(answer.code):
        return Receipt(answer.code, said(answer.message))
    text = _text(answer)
    if is_login(answer.code):
        return Refusal(text, refused_login(answer))
    failure = SendFailed(
        f"the mail server refused the message: {text}",
        permanent=is_permanent(answer.code),
        status_code=answer.code,
        response_body=said(answer.message),
    )
    return Refusal(text, failure)


def _text(answer: aiosmtplib.SMTPResponse) -> str:
    return f"{answer.code} {header_text(answer.message)}"[:_ANSWER_CHARS].rstrip()
