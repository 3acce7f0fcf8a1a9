"""What a channel is given to send, and how an attempt to send it can end."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SENDING_FOR: ContextVar[str] = ContextVar("sending_for", default="")
"""The tenant for whom the running task sends, as its caller sets it: for what all tenants share, where no message is at
hand."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given to send: the rendered event, in types that do not depend on the hub."""

    tenant: str
    """The owner of the event. What a channel stores for one tenant must not be visible to another."""
    event_id: str
    """The same for every attempt and every subscription."""
    delivery_id: str
    """The same for every attempt to send one event to one subscription."""
    attempt: int
    """Counts from 1."""
    type: str
    source: str
    source_id: str | None
    """The publisher's own id for the event, unique within `source`."""
    subject: str | None
    time: datetime
    data: bytes
    """JSON, byte for byte as it was published; see docs/decisions/0003."""
    sent_at: datetime
    """The instant of this attempt. Channels take the time from here and never from a clock."""
    content_type: str | None = None
    data_base64: bool = False
    """True when the published body was not JSON: `data` is then a JSON string with its base64."""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    """CloudEvents extension attributes."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The channel's template fields, rendered for this event."""
    traceparent: str | None = None
    """W3C Trace Context of the request that published the event."""
    checkpoint: str | None = None
    """What the last failed attempt left in `SendFailed.checkpoint`: how much of this delivery is done."""
    test: bool = False
    """A person sends a sample to try the target out; the channel says so where the reader sees it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver accepted the message. `response_body` is the beginning of its answer, kept with the attempt.

    Example:

        Receipt(status_code=200, response_body="ok")
    """

    status_code: int | None = None
    response_body: str | None = None


class SendFailed(Exception):
    """The attempt failed. `permanent` says that no later attempt with the same message can succeed.

    `detail` is shown to people and never contains a secret. `retry_after` is the delay that the receiver asked for, in
    seconds: with status 429 it is obeyed exactly, otherwise no attempt is made before it has passed. `checkpoint` says,
    in the channel's own words, what is done although the attempt failed, such as which recipients have the message. The
    hub keeps it with the delivery, in the same commit as the attempt, and the next attempts get it as
    `Message.checkpoint`. None leaves it as it was.

    Example:

        try:
            raise SendFailed("answered 503 Service Unavailable", status_code=503, retry_after=30.0)
        except SendFailed as failure:
            failure.permanent  # False: the hub tries again, no sooner than in 30 s
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        status_code: int | None = None,
        response_body: str | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after
        self.status_code = status_code
        self.response_body = response_body
        self.checkpoint = checkpoint


class ChannelUnavailable(SendFailed):
    """Nothing can be sent to this target before somebody changes a setting, such as a key that the provider refuses.

    The message is not at fault: its delivery is held with `detail` as the reason, the attempt does not count, and the
    hub tries again once in a while.

    Example:

        try:
            raise ChannelUnavailable("the provider refuses HUB_PAGER_KEY", status_code=401)
        except SendFailed as failure:
            failure.detail  # "the provider refuses HUB_PAGER_KEY"
    """
