"""Sending one HTTP request, with its outcome as a `Receipt` or a `SendFailed`."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from channels.base import Receipt, SendFailed
from channels.http.pool import NotConnected

RESPONSE_BODY_BYTES = 4096
"""How much of an answer is stored with the attempt."""
_MASK = "**********"
_MAX_DIGITS = 12
_NUMBER = re.compile(r"0*([0-9]+)(?:\.[0-9]{1,9})?")


async def deliver(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send `request` once and return the answer, with any status. Raises `SendFailed` when there is no answer."""
    try:
        return await client.send(request)
    except NotConnected as error:
        raise SendFailed(str(error), permanent=error.permanent) from None
    except httpx.TransportError as error:
        raise SendFailed(str(error)) from None


def receipt(response: httpx.Response, now: datetime, *, secrets: Iterable[str] = ()) -> Receipt:
    """A `Receipt` for a 2xx answer. Raises `SendFailed` for any other.

    Only 410 Gone is permanent (RFC 9110, section 15.5.11), because a receiver under repair may answer with any other
    status. `secrets` are masked in the part of the body that is kept.
    """
    if response.is_success:
        return Receipt(response.status_code, excerpt(response, secrets))
    detail = f"answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.is_redirect:
        detail += "; redirects are not followed"
    raise failure(response, now, detail, permanent=response.status_code == httpx.codes.GONE, secrets=secrets)


def failure(
    response: httpx.Response, now: datetime, detail: str, *, permanent: bool = False, secrets: Iterable[str] = ()
) -> SendFailed:
    """A `SendFailed` with the status and body of the answer, and the delay that it asks for."""
    return SendFailed(
        detail,
        permanent=permanent,
        retry_after=retry_after(response, now),
        status_code=response.status_code,
        response_body=excerpt(response, secrets),
    )


def excerpt(response: httpx.Response, secrets: Iterable[str] = ()) -> str | None:
    """The beginning of the body as text, with `secrets` masked, because a receiver may echo the request."""
    if not response.content:
        return None
    # Masked before it is cut: half of a secret at the cut would no longer match.
    text = response.content.decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    return text[:RESPONSE_BODY_BYTES]


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """The seconds from `now` that `Retry-After` asks for, never negative; None when it is absent or not valid.

    It may hold whole seconds or any of the three HTTP-date forms (RFC 9110, sections 10.2.3 and 5.6.7). Fractions of a
    second are understood as well, because rate limiters send them. Of several values the longest counts.
    """
    asked = (_seconds(value.strip(), now) for value in response.headers.get_list("Retry-After"))
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _seconds(value: str, now: datetime) -> float | None:
    if found := _NUMBER.fullmatch(value):
        # A number may have any length; one that is too long counts as the longest. The caller bounds it much lower.
        return float(value) if len(found[1]) <= _MAX_DIGITS else 10.0**_MAX_DIGITS
    try:
        at = parsedate_to_datetime(value)
        # The asctime form names no zone, but every HTTP-date is in UTC.
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return max(0.0, (at - now).total_seconds())
    except (ValueError, OverflowError, TypeError):
        return None
