"""What the errors of a conversation with a mail server mean for an attempt."""

import ssl

import aiosmtplib

from channels.base import ChannelUnavailable, SendFailed

_MAILBOX_FULL_OR_TOO_MANY = 552
"""What older servers answer when a mail has too many recipients; to be tried again (RFC 5321, section 4.5.3.1.10)."""


def is_taken(code: int) -> bool:
    """Whether an answer takes the message or a recipient. Any 2xx does; the library knows only some."""
    return 200 <= code < 300


def is_login(code: int) -> bool:
    """Whether an answer is about the account, as 53x answers are (RFC 4954, section 6): an operator can resolve it."""
    return code // 10 == 53


def is_permanent(code: int) -> bool:
    """Whether an answer to the message or about a recipient is final, as 5xx answers are (RFC 5321, section 4.2.1).
    Those about the login are not.
    """
    return 500 <= code < 600 and not is_login(code) and code != _MAILBOX_FULL_OR_TOO_MANY


def said(message: str) -> str:
    """The text of an answer, without the halves of characters that are left where it is not UTF-8."""
    return message.encode("utf-8", "replace").decode()


def failed(error: aiosmtplib.SMTPException | OSError) -> SendFailed:
    """The failure for an error, without the address of the server."""
    match error:
        case aiosmtplib.SMTPResponseException() if is_login(error.code):
            return refused_login(error)
        case aiosmtplib.SMTPAuthenticationError():
            return refused_login(error)
        case aiosmtplib.SMTPSenderRefused():
            return _refused(error, "the message", permanent=is_permanent(error.code))
        case aiosmtplib.SMTPResponseException():
            return _refused(error, "the connection")
        case aiosmtplib.SMTPConnectTimeoutError():
            return SendFailed("connecting to the mail server took too long")
        case ssl.SSLError() | aiosmtplib.SMTPConnectError(__cause__=ssl.SSLError()):
            return SendFailed("TLS with the mail server failed")
        case aiosmtplib.SMTPConnectError():
            return SendFailed("no connection to the mail server could be made")
        case aiosmtplib.SMTPTimeoutError():
            return SendFailed("the mail server did not answer in time; it may have accepted the message")
        case aiosmtplib.SMTPServerDisconnected() | OSError():
            return SendFailed("the mail server closed the connection; it may have accepted the message")
        case _:
            return ChannelUnavailable("the mail server offers no STARTTLS or no way to log in; check HUB_SMTP_URL")


def refused_login(
    answer: aiosmtplib.SMTPResponseException | aiosmtplib.SMTPResponse, advice: str = "check HUB_SMTP_URL"
) -> ChannelUnavailable:
    return ChannelUnavailable(
        f"the mail server refused the login: {answer.code}; {advice}",
        status_code=answer.code,
        response_body=said(answer.message),
    )


def refused_token(answer: aiosmtplib.SMTPResponseException, advice: str) -> SendFailed:
    """Not a matter of the settings as a refused password is: a token runs out or is withdrawn, and the next one may be
    taken."""
    return SendFailed(
        f"the mail server refused the login with XOAUTH2: {answer.code}; {advice}",
        status_code=answer.code,
        response_body=said(answer.message),
    )


def _refused(error: aiosmtplib.SMTPResponseException, what: str, *, permanent: bool = False) -> SendFailed:
    return SendFailed(
        f"the mail server refused {what}: {error.code}",
        permanent=permanent,
        status_code=error.code,
        response_body=said(error.message),
    )
