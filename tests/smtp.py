"""A real SMTP server for tests, in the test's own event loop, whose answers can be changed while it runs."""

import asyncio
import base64
import ssl
import warnings
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it was handed in."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    over_tls: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=SMTP_POLICY)
        assert isinstance(parsed, EmailMessage)
        return parsed


class MailServer:
    """An SMTP server on a free loopback port.

    `tls` is offered by STARTTLS, or spoken from the start with `implicit_tls`. `refusals` maps a recipient to the
    answer it gets, `data_answers` are given in turn to messages (`250 OK` once they are used up; None breaks the
    connection after the message was taken), and `login` is the user and password that are asked for. With `tokens`
    only XOAUTH2 is offered, and these access tokens are taken. Without `smtputf8` that
    extension is not offered.

        async with MailServer() as server:
            ...  # send by server.url
            assert server.mails[0].message["Subject"] == "…"
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
        tokens: set[str] | None = None,
        smtputf8: bool = True,
    ) -> None:
        self.mails: list[Received] = []
        self.refusals: dict[str, str] = {}
        self.data_answers: list[str | None] = []
        self.connections = 0
        self.greetings: list[str] = []
        """What the client called itself, once a connection."""
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._login = login
        self.tokens = tokens
        self._smtputf8 = smtputf8
        self._open: set[asyncio.BaseTransport] = set()

    @property
    def url(self) -> str:
        scheme = "smtp" if self._tls is None else "smtps" if self._implicit_tls else "smtp+starttls"
        account = f"{self._login[0]}:{self._login[1]}@" if self._login else "" if self.tokens is None else "hub@"
        return f"{scheme}://{account}localhost:{self.port}"

    @property
    def open_connections(self) -> int:
        return sum(not transport.is_closing() for transport in self._open)

    def drop_connections(self) -> None:
        """Break every connection that is open."""
        for transport in self._open:
            transport.close()
        self._open.clear()

    async def __aenter__(self) -> Self:
        tls = self._tls if self._implicit_tls else None
        self._server = await asyncio.get_running_loop().create_server(self._protocol, "127.0.0.1", 0, ssl=tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.drop_connections()
        await asyncio.sleep(0)

    def _protocol(self) -> SMTP:
        starttls = self._tls is not None and not self._implicit_tls
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it knows no TLS but STARTTLS, and warns of a login without it
            return SMTP(
                self,
                hostname="mail.test",
                tls_context=self._tls if starttls else None,
                require_starttls=starttls,
                auth_required=self._login is not None or self.tokens is not None,
                auth_require_tls=starttls,
                auth_exclude_mechanism=["XOAUTH2"] if self.tokens is None else ["LOGIN", "PLAIN"],
                authenticator=self._authenticate if self._login else None,
                enable_SMTPUTF8=self._smtputf8,
                loop=asyncio.get_running_loop(),
            )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: Any
    ) -> AuthResult:
        assert isinstance(auth_data, LoginPassword)
        assert self._login is not None
        given = (auth_data.login.decode(), auth_data.password.decode())
        return AuthResult(success=given == self._login, handled=False, auth_data=given[0])

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 - the library's name
        user, bearer, *_ = base64.b64decode(args[1]).decode().split("\1")
        assert self.tokens is not None
        taken = user == "user=hub" and bearer.removeprefix("auth=Bearer ") in self.tokens
        return AuthResult(success=taken, handled=False, auth_data="hub")

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        transport = server.transport
        if transport is not None and transport not in self._open:
            if session.ssl is None or self._implicit_tls:
                self.connections += 1
                self.greetings.append(hostname)
            self._open.add(transport)
        return responses

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        answer = self.data_answers.pop(0) if self.data_answers else "250 OK"
        if answer is None or answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            assert envelope.mail_from is not None
            over_tls = session.ssl is not None or self._implicit_tls
            login = str(session.auth_data) if session.authenticated else None
            recipients = tuple(envelope.rcpt_tos)
            self.mails.append(Received(envelope.mail_from, recipients, envelope.content, over_tls, login))
        if answer is None:
            cast(asyncio.Transport, server.transport).abort()
            return "250 OK"
        return answer
