"""Mail over SMTP: the server, the login, one submission, and the pool of connections."""

from channels.mail.smtp.ehlo import EhloName
from channels.mail.smtp.oauth import Tokens, open_tokens
from channels.mail.smtp.pool import SmtpPool
from channels.mail.smtp.server import SmtpServer

__all__ = ["EhloName", "SmtpPool", "SmtpServer", "Tokens", "open_tokens"]
