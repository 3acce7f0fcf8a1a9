"""What a channel needs around one HTTP request: its outcome as a `Receipt` or a `SendFailed`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from channels.base import Receipt, SendFailed
from channels.http.transport import NotConnected

RESPONSE_BODY_BYTES = 4096
"""How much of an answer is kept with the attempt."""
_MASK = "**********"
_MAX_DIGITS = 12


async def deliver(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """Send `request` once and give the answer, whatever its status. Raises `SendFailed` when there is none."""
    try:
        return await client.send(request)
    except NotConnected as error:
        raise SendFailed(str(error), permanent=error.permanent) from None
    except httpx.TransportError as error:
        raise SendFailed(str(error)) from None


def receipt(response: httpx.Response, now: datetime, *, secrets: Iterable[str] = ()) -> Receipt:
    """2xx as a `Receipt`, all else as `SendFailed`. Only 410 Gone is permanent (RFC 9110, section 15.5.11): a receiver
    that is being mended may answer anything. `secrets` are masked in what is kept of the body."""
    if response.is_success:
        return Receipt(response.status_code, excerpt(response, secrets))
    detail = f"answered {response.status_code} {response.reason_phrase}".rstrip()
    if response.is_redirect:
        detail += "; redirects are not followed"
    raise failure(response, now, detail, permanent=response.status_code == httpx.codes.GONE, secrets=secrets)


def failure(
    response: httpx.Response, now: datetime, detail: str, *, permanent: bool = False, secrets: Iterable[str] = ()
) -> SendFailed:
    """A `SendFailed` with what the answer tells: status, body, and the wished delay of a 429 or 503."""
    return SendFailed(
        detail,
        permanent=permanent,
        retry_after=retry_after(response, now) if response.status_code in {429, 503} else None,
        status_code=response.status_code,
        response_body=excerpt(response, secrets),
    )


def excerpt(response: httpx.Response, secrets: Iterable[str] = ()) -> str | None:
    """The beginning of the body as text; a receiver that echoes the request gives no secret away."""
    if not response.content:
        return None
    # Masked before it is cut, so that no half of a secret stays.
    text = response.content.decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, _MASK)
    return text[:RESPONSE_BODY_BYTES]


def retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Seconds from `now` that `Retry-After` asks for, never negative; None when there is none or it makes no sense.

    Whole seconds or any of the three HTTP-date forms (RFC 9110, sections 10.2.3 and 5.6.7).
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[-_MAX_DIGITS:]) if len(value.lstrip("0")) <= _MAX_DIGITS else 10.0**_MAX_DIGITS
    try:
        at = parsedate_to_datetime(value)
        # The asctime form names no zone, but every HTTP-date is in UTC.
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        return max(0.0, (at - now).total_seconds())
    except (ValueError, OverflowError, TypeError):
        return None
