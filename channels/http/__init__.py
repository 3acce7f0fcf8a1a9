"""The guarded HTTP client of all channels: the httpx API on connections of its own. See docs/decisions/0021."""

from channels.http.client import open_client
from channels.http.content_type import decoded, encoded, is_json
from channels.http.delivery import RESPONSE_BODY_BYTES, deliver, excerpt, failure, receipt, retry_after
from channels.http.guard import AddressRefused, Guard, Network
from channels.http.resolver import LookupFailed, Resolver
from channels.http.url import HttpUrl, checked_url, host_of, parsed_url

__all__ = [
    "RESPONSE_BODY_BYTES",
    "AddressRefused",
    "Guard",
    "HttpUrl",
    "LookupFailed",
    "Network",
    "Resolver",
    "checked_url",
    "decoded",
    "deliver",
    "encoded",
    "excerpt",
    "failure",
    "host_of",
    "is_json",
    "open_client",
    "parsed_url",
    "receipt",
    "retry_after",
]
