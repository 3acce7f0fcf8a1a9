"""Composing and submitting mail: addresses, messages, SMTP and the APIs of providers."""

from channels.mail.address import InvalidAddress, Mailbox, header_text, parse_mailbox, without_repeats
from channels.mail.message import Mail, inlined
from channels.mail.plain_text import text_of
from channels.mail.progress import Progress
from channels.mail.providers import PROVIDERS, Provider, UnusableOption, open_provider
from channels.mail.smtp import EhloName, SmtpPool, SmtpServer, open_tokens

__all__ = [
    "PROVIDERS",
    "EhloName",
    "InvalidAddress",
    "Mail",
    "Mailbox",
    "Progress",
    "Provider",
    "SmtpPool",
    "SmtpServer",
    "UnusableOption",
    "header_text",
    "inlined",
    "open_provider",
    "open_tokens",
    "parse_mailbox",
    "text_of",
    "without_repeats",
]
