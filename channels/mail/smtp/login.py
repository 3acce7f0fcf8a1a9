"""Logging in to a mail server, with a password or with an OAuth 2 access token."""

import aiosmtplib

from channels.base import ChannelUnavailable
from channels.mail.smtp.failures import refused_login
from channels.mail.smtp.oauth import Tokens
from channels.mail.smtp.server import SmtpServer

_XOAUTH2 = "xoauth2"
_HINT = "it offers XOAUTH2: set HUB_SMTP_OAUTH_TOKEN_URL or HUB_SMTP_OAUTH_COMMAND"


async def log_in(smtp: aiosmtplib.SMTP, server: SmtpServer, tokens: Tokens | None) -> None:
    """Log in if the server's URL names a user. Raises `SMTPException`, and `ChannelUnavailable` when there is no
    token, or when a password is refused by a server that would take a token."""
    if server.username is None:
        return
    if tokens is not None:
        await _with_token(smtp, server.username, tokens)
        return
    offers_xoauth2 = _XOAUTH2 in smtp.server_auth_methods
    try:
        if offers_xoauth2 and not smtp.supported_auth_methods:
            # No password is taken here, so what the operator has set may be an access token.
            await smtp.auth_xoauth2(server.username, server.password or "")
        else:
            await smtp.login(server.username, server.password or "")
    except aiosmtplib.SMTPAuthenticationError as error:
        if not offers_xoauth2:
            raise
        raise refused_login(error, _HINT) from None


async def _with_token(smtp: aiosmtplib.SMTP, username: str, tokens: Tokens) -> None:
    if _XOAUTH2 not in smtp.server_auth_methods:
        raise ChannelUnavailable("the mail server offers no login with XOAUTH2")
    token = await tokens.current()
    try:
        await smtp.auth_xoauth2(username, token)
    except aiosmtplib.SMTPAuthenticationError:
        # It may have been revoked before it expired.
        tokens.forget(token)
        raise
