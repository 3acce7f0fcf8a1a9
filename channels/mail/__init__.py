"""Composing and submitting mail: addresses, messages, SMTP and the APIs of providers."""

from channels.mail.address import InvalidText, Mailbox, header_text, parse_mailbox, without_repeats
from channels.mail.message import Mail, inlined
from channels.mail.providers import PROVIDERS, Provider, UnusableOption, open_provider
from channels.mail.smtp import SmtpPool, SmtpServer

__all__ = [
    "PROVIDERS",
    "InvalidText",
    "Mail",
    "Mailbox",
    "Provider",
    "SmtpPool",
    "SmtpServer",
    "UnusableOption",
    "header_text",
    "inlined",
    "open_provider",
    "parse_mailbox",
    "without_repeats",
]
