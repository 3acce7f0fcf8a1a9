"""OAuth 2 access tokens for the login XOAUTH2.

https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth
https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
"""

import asyncio
import os
import shlex
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import orjson

from channels.base import ChannelUnavailable, SendFailed
from channels.http import checked_url, deliver

FETCH_SECONDS = 10.0
RENEW_BEFORE_SECONDS = 60.0
DEFAULT_LIFETIME_SECONDS = 300.0
"""For a token that comes without the time for which it is valid."""
_TOKEN_URL = "smtp_oauth_token_url"  # noqa: S105 - the name of an option
_COMMAND = "smtp_oauth_command"
_CLIENT = ("smtp_oauth_client_id", "smtp_oauth_client_secret")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and for how many seconds from now it is valid."""

    text: str = field(repr=False)
    lifetime: float = DEFAULT_LIFETIME_SECONDS


class Tokens:
    """The token in use. It is fetched when it is first needed, and again before it expires; one fetch at a time."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._fetching = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0
        self._expires_at = 0.0

    async def current(self) -> str:
        """A valid token. Raises `ChannelUnavailable` when there is none and none can be fetched."""
        async with self._fetching:
            now = asyncio.get_running_loop().time()
            if not self._token or now >= self._renew_at:
                try:
                    self._keep(await _in_time(self._fetch), now)
                except SendFailed:
                    # The one that is about to expire serves until then.
                    if not self._token or now >= self._expires_at:
                        raise
            return self._token

    def forget(self, token: str) -> None:
        """Do not use this token again."""
        if token == self._token:
            self._token = ""

    def _keep(self, token: Token, now: float) -> None:
        self._token = token.text
        self._expires_at = now + token.lifetime
        self._renew_at = now + max(token.lifetime - RENEW_BEFORE_SECONDS, token.lifetime / 2)


def open_tokens(options: Mapping[str, str], http: httpx.AsyncClient) -> Tokens | None:
    """The tokens that the operator's options describe; None without any of them.

    Raises `ValueError` for options that are incomplete or not valid. It does not repeat them.
    """
    url, command = options.get(_TOKEN_URL, ""), options.get(_COMMAND, "")
    if url and command:
        raise ValueError("HUB_SMTP_OAUTH_TOKEN_URL and HUB_SMTP_OAUTH_COMMAND cannot be used together")
    if command:
        return Tokens(_from_command(_arguments(command)))
    if not url:
        return None
    for name in _CLIENT:
        if not options.get(name):
            raise ValueError(f"HUB_{name.upper()} is not set, but HUB_SMTP_OAUTH_TOKEN_URL is")
    try:
        checked_url(url)
    except ValueError:
        raise ValueError("HUB_SMTP_OAUTH_TOKEN_URL is not a valid URL") from None
    client_id, client_secret = (options[name] for name in _CLIENT)
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    if options.get("smtp_oauth_scope"):
        form["scope"] = options["smtp_oauth_scope"]
    return Tokens(_from_url(http, url, form))


def _arguments(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        raise ValueError("HUB_SMTP_OAUTH_COMMAND has a quotation mark without an end") from None


def _from_url(http: httpx.AsyncClient, url: str, form: Mapping[str, str]) -> Callable[[], Awaitable[Token]]:
    """Client credentials (RFC 6749, section 4.4)."""

    async def fetch() -> Token:
        request = httpx.Request("POST", url, data=form, headers={"accept": "application/json"})
        try:
            response = await deliver(http, request)
        except SendFailed as failure:
            raise _no_token(failure.detail) from None
        answer = _members(response.content)
        if not response.is_success:
            raise _no_token(f"answered {response.status_code} {answer.get('error', '')}".rstrip())
        if (token := _token(answer)) is None:
            raise _no_token("the answer holds no access_token")
        return token

    return fetch


def _from_command(arguments: Sequence[str]) -> Callable[[], Awaitable[Token]]:
    """What a command prints: a token on a line, or JSON as a token server answers it."""

    async def fetch() -> Token:
        status, printed = await _run(arguments)
        if status:
            raise _no_token(f"the command ended with {status}")
        token = _token(_members(printed)) or _line(printed)
        if token is None:
            raise _no_token("the command printed none")
        return token

    return fetch


async def _run(arguments: Sequence[str]) -> tuple[int, bytes]:
    """The exit status of a command and what it printed. It gets none of the hub's settings, such as its keys."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True
        )
    except OSError as error:
        raise _no_token(f"the command cannot be run: {error.strerror}") from None
    try:
        printed, _ = await process.communicate()
        return process.returncode or 0, printed
    finally:
        if process.returncode is None:
            # With everything that it started, which could keep its output open.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _in_time(fetch: Callable[[], Awaitable[Token]]) -> Token:
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await fetch()
    except TimeoutError:
        raise _no_token(f"nothing came within {FETCH_SECONDS:g} s") from None


def _no_token(why: str) -> ChannelUnavailable:
    return ChannelUnavailable(f"no access token for the mail server: {why}")


def _members(content: bytes) -> Mapping[str, object]:
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _token(answer: Mapping[str, object]) -> Token | None:
    text, lifetime = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(text, str) or not _is_token(text):
        return None
    # Some servers answer the seconds as a string.
    seconds = str(lifetime)
    return Token(text, float(seconds)) if seconds.isdecimal() else Token(text)


def _line(printed: bytes) -> Token | None:
    text = printed.decode("utf-8", "replace").strip()
    return Token(text) if _is_token(text) else None


def _is_token(text: str) -> bool:
    """Whether it is one word of printable ASCII, as RFC 6749, appendix A.12, has it."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
