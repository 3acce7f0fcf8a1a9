"""Every error a caller of the hub can meet, as one tree; one handler renders it as an RFC 9457 problem.

HubError
├── BadRequest            400  the bytes cannot be read as what they claim to be
├── Unauthorized          401  no key, or one that is unknown, expired or revoked
├── Forbidden             403  the key lacks the scope
├── NotFound              404  no such thing for this tenant
├── MethodNotAllowed      405  the path has no such method
├── Conflict              409  the thing is in a state that does not allow it
│   └── StaleCatalogue         the catalogue moved on since it was read; read it again and retry
├── TooLarge              413  more bytes or items than the limit
├── UnsupportedMedia      415  a media type the route does not read
├── Invalid               422  readable, but against a rule; `errors` points at each place
├── TooManyRequests       429  over a rate; `retry_after` says when to come back
└── Unavailable           503  nothing was accepted; `retry_after` says when to come back
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where a request breaks a rule: what is wrong, and an RFC 6901 pointer to it."""

    detail: str
    pointer: str


class HubError(Exception):
    """Base of the tree. `detail` says what is wrong and what to do next, and never repeats what was sent."""

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    def problem(self) -> dict[str, Any]:
        """The members of the RFC 9457 problem."""
        members: dict[str, Any] = {
            "type": f"urn:notification-hub:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [{"detail": fault.detail, "pointer": fault.pointer} for fault in self.errors]
        return members


class BadRequest(HubError):
    status, code, title = 400, "bad_request", "Bad request"


class Unauthorized(HubError):
    status, code, title = 401, "unauthorized", "Unauthorized"


class Forbidden(HubError):
    status, code, title = 403, "forbidden", "Forbidden"


class NotFound(HubError):
    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(HubError):
    status, code, title = 405, "method_not_allowed", "Method not allowed"


class Conflict(HubError):
    status, code, title = 409, "conflict", "Conflict"


class StaleCatalogue(Conflict):
    code = "stale_catalogue"


class TooLarge(HubError):
    status, code, title = 413, "too_large", "Content too large"


class UnsupportedMedia(HubError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(HubError):
    status, code, title = 422, "invalid", "Invalid content"


class TooManyRequests(HubError):
    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(HubError):
    status, code, title = 503, "unavailable", "Service unavailable"
