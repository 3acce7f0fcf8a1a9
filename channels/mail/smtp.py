"""Mail over SMTP, through a few connections that are reused and carry one message at a time."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import unquote, urlsplit

import aiosmtplib

from channels.base import Receipt, SendFailed
from channels.mail.message import Mail, to_bytes

MAX_CONNECTIONS = 4
MAX_MESSAGES = 100
"""A connection is replaced after this many messages, so that all relays behind a load balancer get their share."""
MAX_IDLE_SECONDS = 30.0
TIMEOUT_SECONDS = 20.0
"""For each answer of the server. The caller limits the whole attempt."""

Security = Literal["none", "starttls", "tls"]
_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The address of a mail server, and how to connect to it."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Read a URL: `smtp://`, `smtp+starttls://` or `smtps://`, an optional `user:password@`, the host, and an
        optional `:port`.

        Raises `ValueError`, also for a password that would cross a network unencrypted. The message does not repeat the
        URL.
        """
        try:
            parts = urlsplit(url)
            security, default_port = _SCHEMES[parts.scheme]
            host, port = parts.hostname, parts.port or default_port
        except (KeyError, ValueError):
            raise ValueError("HUB_SMTP_URL must be smtp://, smtp+starttls:// or smtps:// with host and port") from None
        if not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("HUB_SMTP_URL must contain a host, and nothing after the port")
        if parts.username and security == "none" and not _is_loopback(host):
            raise ValueError("HUB_SMTP_URL has a password, so it must be smtp+starttls:// or smtps://")
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(host, port, security, username, password)


@dataclass(slots=True)
class _Connection:
    smtp: aiosmtplib.SMTP
    sent: int = 0
    idle_since: float = 0.0


class SmtpPool:
    """At most four connections, opened when they are needed. The one used last is reused first, so that the others can
    expire."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext, *, size: int = MAX_CONNECTIONS) -> None:
        self._server = server
        self._tls = tls
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(size)

    async def send(self, mail: Mail) -> Receipt:
        """Submit the mail. Raises `SendFailed`.

        If the server refuses some recipients permanently, the others get the mail, and the receipt names those that
        were refused. If it refuses one temporarily, nobody gets the mail yet: the next attempt reaches everybody once.
        If the connection breaks after the message was sent, it is unknown whether the server accepted it; the attempt
        then counts as failed, and receivers recognise a second copy by its `Message-ID`.
        """
        try:
            async with self._slots, self._connection() as smtp:
                return await _submit(smtp, mail)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failed(error) from None

    async def check(self) -> None:
        """Connect and log in, as for a mail. Raises `SendFailed`."""
        try:
            await _quit(await self._connect())
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failed(error) from None

    async def aclose(self) -> None:
        while self._idle:
            await _quit(self._idle.pop().smtp)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection for one message. It is reused only after success: after an error its state is unknown."""
        loop = asyncio.get_running_loop()
        connection = await self._reused(loop.time()) or _Connection(await self._connect())
        try:
            yield connection.smtp
        except BaseException:  # a cancelled attempt leaves an answer unread, which would be taken for the next one
            connection.smtp.close()
            raise
        connection.sent += 1
        connection.idle_since = loop.time()
        if connection.sent < MAX_MESSAGES:
            self._idle.append(connection)
        else:
            await _quit(connection.smtp)

    async def _reused(self, now: float) -> _Connection | None:
        """An idle connection on which the server still answers."""
        while self._idle:
            connection = self._idle.pop()
            if connection.smtp.is_connected and now - connection.idle_since < MAX_IDLE_SECONDS:
                try:
                    # Many servers close idle connections. This finds out before the mail depends on it.
                    await connection.smtp.rset()
                except aiosmtplib.SMTPException:
                    pass
                except BaseException:
                    connection.smtp.close()
                    raise
                else:
                    return connection
            connection.smtp.close()
        return None

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            # Never "if offered": an attacker who removes the offer from the greeting could read the mail.
            start_tls=server.security == "starttls",
            tls_context=self._tls if server.security != "none" else None,
            timeout=TIMEOUT_SECONDS,
        )
        await smtp.connect()
        return smtp


async def _submit(smtp: aiosmtplib.SMTP, mail: Mail) -> Receipt:
    options, encoding = (["SMTPUTF8", "BODY=8BITMIME"], "utf-8") if mail.is_international else ([], "ascii")
    if mail.is_international:
        await smtp.ehlo()
        if not smtp.supports_extension("smtputf8"):
            raise SendFailed("the mail server does not support addresses that are not ASCII", permanent=True)
    await smtp.mail(mail.sender.address, options=options, encoding=encoding)
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    for recipient in mail.recipients:
        try:
            await smtp.rcpt(recipient, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code < 500:
                # Nothing has been sent yet, so the whole mail can wait for the next attempt.
                raise
            refused.append(error)
    if len(refused) == len(mail.recipients):
        raise refused[0]
    response = await smtp.data(to_bytes(mail))
    notes = [f"refused {error.recipient}: {error.code} {error.message}" for error in refused]
    return Receipt(response.code, "\n".join([response.message, *notes]))


async def _quit(smtp: aiosmtplib.SMTP) -> None:
    try:
        if smtp.is_connected:
            await smtp.quit(timeout=1.0)
    except aiosmtplib.SMTPException:
        pass
    finally:
        smtp.close()


def _failed(error: aiosmtplib.SMTPException | OSError) -> SendFailed:
    """The failure for an error, without the address of the server."""
    match error:
        case aiosmtplib.SMTPResponseException():
            return _refused(error)
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
            return SendFailed("the mail server offers no STARTTLS or no way to log in")


def _refused(error: aiosmtplib.SMTPResponseException) -> SendFailed:
    """The failure for a refusal. A 5xx answer to the message is permanent (RFC 5321, section 4.2.1). Answers about the
    connection or the account, which include 53x (RFC 4954, section 6), are not: an operator can resolve them."""
    match error:
        case aiosmtplib.SMTPSenderRefused() | aiosmtplib.SMTPRecipientRefused() | aiosmtplib.SMTPDataError():
            what, permanent = "the message", error.code >= 500 and error.code // 10 != 53
        case aiosmtplib.SMTPAuthenticationError():
            what, permanent = "the login", False
        case _:
            what, permanent = "the connection", False
    return SendFailed(
        f"the mail server refused {what}: {error.code}",
        permanent=permanent,
        status_code=error.code,
        response_body=error.message,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
