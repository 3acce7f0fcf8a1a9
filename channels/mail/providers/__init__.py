"""Mail through the HTTP APIs of providers: the request for a mail, and what the answers say of its recipients."""

from channels.mail.providers.provider import Provider, open_provider
from channels.mail.providers.requests import PROVIDERS, UnusableOption

__all__ = ["PROVIDERS", "Provider", "UnusableOption", "open_provider"]
