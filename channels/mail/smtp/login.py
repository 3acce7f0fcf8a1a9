"""Logging in to a mail server, with a password or with an OAuth 2 access token."""

import aiosmtplib

from channels.base import ChannelUnavailable, SendFailed
from channels.mail.smtp.failures import refused_login, refused_token
from channels.mail.smtp.oauth import Tokens
from channels.mail.smtp.server import SmtpServer

_XOAUTH2 = "xoauth2"
_SET_TOKENS = "set HUB_SMTP_OAUTH_TOKEN_URL or HUB_SMTP_OAUTH_COMMAND"


async def log_in(smtp: aiosmtplib.SMTP, server: SmtpServer, tokens: Tokens | None) -> None:
    """Log in if the server's URL names a user.

    Raises `SendFailed` when a token is refused, `ChannelUnavailable` when there is none or a password is refused by a
    server that would take a token, and `SMTPException`.
    """
    if server.username is None:
        return
    offers_xoauth2 = _XOAUTH2 in smtp.server_auth_methods
    if tokens is not None:
        if not offers_xoauth2:
            raise ChannelUnavailable("the mail server offers no login with XOAUTH2")
        await _with_current_token(smtp, server.username, tokens)
    elif offers_xoauth2 and not smtp.supported_auth_methods:
        # No password is taken here, so what the operator has set may be an access token.
        await _with_token(smtp, server.username, server.password or "", _SET_TOKENS)
    else:
        await _with_password(smtp, server.username, server.password or "", offers_xoauth2=offers_xoauth2)


async def _with_password(smtp: aiosmtplib.SMTP, username: str, password: str, *, offers_xoauth2: bool) -> None:
    try:
        await smtp.login(username, password)
    except aiosmtplib.SMTPAuthenticationError as error:
        if not offers_xoauth2:
            raise
        raise refused_login(error, f"it offers XOAUTH2: {_SET_TOKENS}") from None


async def _with_current_token(smtp: aiosmtplib.SMTP, username: str, tokens: Tokens) -> None:
    token = await tokens.current()
    try:
        await _with_token(smtp, username, token, "the next attempt fetches another token")
    except SendFailed:
        # It may have been revoked before it expired.
        tokens.forget(token)
        raise


async def _with_token(smtp: aiosmtplib.SMTP, username: str, token: str, advice: str) -> None:
    try:
        await smtp.auth_xoauth2(username, token)
    except aiosmtplib.SMTPAuthenticationError as error:
        raise refused_token(error, advice) from None
