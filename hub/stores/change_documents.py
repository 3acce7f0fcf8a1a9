"""Changes to the deliveries of events as both stores keep them: JSON, whose members may become more."""

from datetime import datetime
from typing import Final

import msgspec

from hub.stores.base import ChangeKind, EventChange

encode_change: Final = msgspec.json.Encoder().encode
decode_change: Final = msgspec.json.Decoder(EventChange).decode


def cancellation(tenant: str, event_id: str, at: datetime) -> EventChange:
    """The change with which the deliveries of an event are cancelled."""
    return EventChange(event_id, tenant, event_id, ChangeKind.CANCEL, at)
