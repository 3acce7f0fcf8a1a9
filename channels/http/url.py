"""The URLs that a target may contain."""

import re
from functools import lru_cache
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field

MAX_URL_LENGTH = 2048
_PORTS = range(1, 65_536)
_FORM = re.compile(r"https?://[^\s/?#]+([/?][^\s#]*)?", re.IGNORECASE)


def checked_url(text: str) -> str:
    """`text`, if it is an absolute http or https URL. Raises `ValueError` otherwise, without repeating `text`.

    A user and password are refused because they belong in a header, where they are masked; a fragment, because it would
    not be sent.
    """
    if len(text) > MAX_URL_LENGTH:
        raise ValueError(f"must have at most {MAX_URL_LENGTH} characters")
    if not _FORM.fullmatch(text):
        raise ValueError("must begin with http:// or https://, name a host, and contain neither spaces nor a fragment")
    try:
        url = parsed_url(text)
    except httpx.InvalidURL:
        raise ValueError("must be a valid URL") from None
    if url.userinfo:
        raise ValueError("must not contain a user or password; send credentials in a header")
    if not url.host or url.host.isdecimal() or b"%" in url.raw_host:
        raise ValueError("must name a valid host")
    if url.port is not None and url.port not in _PORTS:
        raise ValueError("must name a valid port")
    return text


HttpUrl = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(checked_url)]


@lru_cache(maxsize=4096)
def host_of(text: str) -> str:
    """The host of a URL, with its port if the URL names one."""
    return parsed_url(text).netloc.decode("ascii")


@lru_cache(maxsize=4096)
def parsed_url(text: str) -> httpx.URL:
    """The URL of a target, parsed once for all messages to it."""
    return httpx.URL(text)
