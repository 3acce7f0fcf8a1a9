"""Mail over SMTP, through a few connections that are kept and each carry one message at a time."""

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
"""After so many messages a connection is replaced, so that a relay behind a load balancer is used evenly."""
MAX_IDLE_SECONDS = 30.0
TIMEOUT_SECONDS = 20.0
"""For each answer of the server; the whole attempt is bounded by its caller."""

Security = Literal["none", "starttls", "tls"]
_SCHEMES: dict[str, tuple[Security, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in, and how."""

    host: str
    port: int
    security: Security
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """`smtp://`, `smtp+starttls://` or `smtps://`, then `user:password@` if needed, host, and `:port`.

        Raises `ValueError`, also for a password that would go unencrypted over a network. It does not repeat the URL.
        """
        try:
            parts = urlsplit(url)
            security, usual_port = _SCHEMES[parts.scheme]
            host, port = parts.hostname, parts.port or usual_port
        except (KeyError, ValueError):
            raise ValueError("HUB_SMTP_URL must be smtp://, smtp+starttls:// or smtps:// with host and port") from None
        if not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("HUB_SMTP_URL must hold a host, and nothing after the port")
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
    """At most four connections, made when they are needed and reused, the last used first."""

    def __init__(self, server: SmtpServer, tls: ssl.SSLContext, *, size: int = MAX_CONNECTIONS) -> None:
        self._server = server
        self._tls = tls
        self._idle: list[_Connection] = []
        self._places = asyncio.Semaphore(size)

    async def send(self, mail: Mail) -> Receipt:
        """Hand the mail in. Raises `SendFailed`.

        When some recipients are refused for good, the others get the mail and the receipt names the refused. When one
        is refused for now, nobody gets it yet, so that the next try brings it to all and to nobody twice. A connection
        that breaks after the message went out leaves it open whether it was taken: the try counts as failed, and
        receivers know a copy by its `Message-ID`.
        """
        try:
            async with self._places, self._connection() as smtp:
                return await _converse(smtp, mail)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _failed(error) from None

    async def aclose(self) -> None:
        while self._idle:
            await _quit(self._idle.pop().smtp)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection for one message. It goes back only when that went well: else its state is not known."""
        loop = asyncio.get_running_loop()
        connection = await self._reused(loop.time()) or _Connection(await self._connect())
        try:
            yield connection.smtp
        except BaseException:
            connection.smtp.close()
            raise
        connection.sent += 1
        connection.idle_since = loop.time()
        if connection.sent < MAX_MESSAGES:
            self._idle.append(connection)
        else:
            await _quit(connection.smtp)

    async def _reused(self, now: float) -> _Connection | None:
        """An idle connection that the server still answers on."""
        while self._idle:
            connection = self._idle.pop()
            if connection.smtp.is_connected and now - connection.idle_since < MAX_IDLE_SECONDS:
                try:
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
            # Never "if offered": whoever strips the offer from the greeting would read the mail.
            start_tls=server.security == "starttls",
            tls_context=self._tls if server.security != "none" else None,
            timeout=TIMEOUT_SECONDS,
        )
        await smtp.connect()
        return smtp


async def _converse(smtp: aiosmtplib.SMTP, mail: Mail) -> Receipt:
    options, encoding = (["SMTPUTF8", "BODY=8BITMIME"], "utf-8") if mail.is_international else ([], "ascii")
    if mail.is_international:
        await smtp.ehlo()
        if not smtp.supports_extension("smtputf8"):
            raise SendFailed("the mail server does not take addresses beyond ASCII", permanent=True)
    await smtp.mail(mail.sender.address, options=options, encoding=encoding)
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    for recipient in mail.recipients:
        try:
            await smtp.rcpt(recipient, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code < 500:
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
    """What went wrong, without the address of the server."""
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
            return SendFailed("the mail server did not answer in time; it may have taken the message")
        case aiosmtplib.SMTPServerDisconnected() | OSError():
            return SendFailed("the mail server closed the connection; it may have taken the message")
        case _:
            return SendFailed("the mail server offers no STARTTLS or no way to log in")


def _refused(error: aiosmtplib.SMTPResponseException) -> SendFailed:
    """5xx to the message is final, all else may pass (RFC 5321, section 4.2.1): what is about the connection or the
    account, 53x among it (RFC 4954, section 6), an operator can mend."""
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
