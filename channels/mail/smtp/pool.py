"""A few connections to a mail server, which are reused and carry one mail at a time."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosmtplib

from channels.base import ChannelUnavailable, Receipt
from channels.http import LookupFailed
from channels.mail.message import Mail
from channels.mail.outcome import Answers, receipt
from channels.mail.smtp.ehlo import EhloName
from channels.mail.smtp.failures import failed
from channels.mail.smtp.login import log_in
from channels.mail.smtp.oauth import Tokens
from channels.mail.smtp.server import Dialler, SmtpServer
from channels.mail.smtp.submission import begin, submit

MAX_CONNECTIONS = 4
MAX_MESSAGES = 100
"""A connection is replaced after this many messages, so that all relays behind a load balancer get their share."""
MAX_IDLE_SECONDS = 30.0
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""For each answer of the server but the one to the message itself. The caller limits the whole attempt."""
REUSE_SECONDS = 3.0
"""For the first answer on a connection that was idle. A new connection takes its place when none comes."""


@dataclass(slots=True)
class _Connection:
    smtp: aiosmtplib.SMTP
    sent: int = 0
    idle_since: float = 0.0


class SmtpPool:
    """At most four connections, opened when they are needed. The one used last is reused first, so that the others can
    expire."""

    def __init__(
        self,
        server: SmtpServer,
        tls: ssl.SSLContext,
        *,
        name: EhloName | None = None,
        tokens: Tokens | None = None,
        size: int = MAX_CONNECTIONS,
    ) -> None:
        """`tokens` are for the login instead of the server's password."""
        self._server = server
        self._tls = tls
        self._name = name or EhloName()
        self._tokens = tokens
        self._dialler = Dialler()
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(size)

    async def send(self, mail: Mail) -> Receipt:
        """Submit the mail to those of its recipients who do not have it. Raises `SendFailed`.

        Recipients whom the server takes get the mail, whatever it answers about others. The failure names the others
        and carries a checkpoint, so that the next attempt is for them alone. It is permanent when the server refused
        all of them for good. If the connection breaks after the message was sent, it is unknown whether the server
        accepted it; the attempt then counts as failed, and receivers recognise a second copy by its `Message-ID`.
        """
        try:
            answers = await self._submitted(mail)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise failed(error) from None
        return receipt(mail, answers)

    async def check(self) -> None:
        """Connect and log in, as for a mail. Raises `SendFailed`."""
        try:
            smtp = await self._logged_in()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise failed(error) from None
        await _quit(smtp)

    async def aclose(self) -> None:
        while self._idle:
            await _quit(self._idle.pop().smtp)

    async def _submitted(self, mail: Mail) -> Answers:
        async with self._slots, self._begun(mail) as smtp:
            return await submit(smtp, mail)

    @asynccontextmanager
    async def _begun(self, mail: Mail) -> AsyncIterator[aiosmtplib.SMTP]:
        """A connection on which the mail's sender was accepted. It is reused only after success: after an error its
        state is unknown."""
        connection = await self._reused(mail) or await self._new(mail)
        try:
            yield connection.smtp
        except BaseException:  # a cancelled attempt leaves an answer unread, which would be taken for the next one
            connection.smtp.close()
            raise
        # Nothing is awaited any more: the attempt could run into its limit and lose the answer to its mail.
        connection.sent += 1
        connection.idle_since = _now()
        self._idle.append(connection)

    async def _reused(self, mail: Mail) -> _Connection | None:
        """An idle connection on which the server took the first command. Many servers close idle connections, some
        after a refusal, and some networks drop them without a word. Nothing was sent then, so a new one can be used."""
        while self._idle:
            connection = self._idle.pop()
            if _is_usable(connection):
                try:
                    await begin(connection.smtp, mail, REUSE_SECONDS)
                except aiosmtplib.SMTPTimeoutError:
                    # What happened to this one probably happened to all, and each would cost the same time again.
                    self._drop_idle()
                except aiosmtplib.SMTPException:
                    pass
                except BaseException:
                    connection.smtp.close()
                    raise
                else:
                    return connection
            connection.smtp.close()
        return None

    async def _new(self, mail: Mail) -> _Connection:
        smtp = await self._logged_in()
        try:
            await begin(smtp, mail, ANSWER_SECONDS)
        except BaseException:
            smtp.close()
            raise
        return _Connection(smtp)

    async def _logged_in(self) -> aiosmtplib.SMTP:
        smtp = await self._connect()
        try:
            await log_in(smtp, self._server, self._tokens)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _connect(self) -> aiosmtplib.SMTP:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                sock = await self._dialler.connect(self._server)
        except TimeoutError:
            raise aiosmtplib.SMTPConnectTimeoutError("") from None
        except LookupFailed as error:
            raise ChannelUnavailable(f"the mail server of HUB_SMTP_URL: {error}") from None
        except OSError as error:
            raise aiosmtplib.SMTPConnectError(str(error)) from None
        try:
            smtp = self._client(sock, await self._name.on(str(sock.getsockname()[0])))
            await smtp.connect()
            await _greet(smtp)
        except BaseException:
            sock.close()
            raise
        return smtp

    def _client(self, sock: socket.socket, name: str) -> aiosmtplib.SMTP:
        security = self._server.security
        return aiosmtplib.SMTP(
            hostname=self._server.host,
            sock=sock,
            local_hostname=name,
            use_tls=security == "tls",
            # Never "if offered": an attacker who removes the offer from the greeting could read the mail.
            start_tls=security == "starttls",
            tls_context=self._tls if security != "none" else None,
            timeout=ANSWER_SECONDS,
        )

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.smtp.close()
        self._idle.clear()


def _is_usable(connection: _Connection) -> bool:
    fresh = _now() - connection.idle_since < MAX_IDLE_SECONDS and connection.sent < MAX_MESSAGES
    return fresh and connection.smtp.is_connected


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    """Learn what the server can do."""
    try:
        try:
            await smtp.ehlo()
        except aiosmtplib.SMTPHeloError:
            if not smtp.is_connected:
                raise
            await smtp.helo()
    except BaseException:
        smtp.close()
        raise


async def _quit(smtp: aiosmtplib.SMTP) -> None:
    try:
        if smtp.is_connected:
            await smtp.quit(timeout=1.0)
    except aiosmtplib.SMTPException:
        pass
    finally:
        smtp.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
