"""The numbers of a tenant."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from hub.api.access import CurrentServices, Reader
from hub.api.problems import problems
from hub.api.shapes import KnownParameters, Since, json_response, wrong_channel
from hub.errors import Invalid
from hub.stores.base import ChannelStats, RecentFailure

router = APIRouter(prefix="/v1/stats", tags=["numbers"])

DEFAULT_PERIOD = timedelta(hours=24)


class ChannelNumbers(BaseModel):
    """What happened since that instant. `pending` and its age are those of now."""

    delivered: int = Field(examples=[1_204])
    failed_attempts: int = Field(examples=[17])
    dead: int = Field(examples=[1])
    pending: int = Field(examples=[3], description="Not yet delivered, held ones among them.")
    oldest_pending_age_seconds: float | None = Field(examples=[2.5])
    latency_ms: dict[str, float] = Field(
        description="Quantiles of how long attempts took, over the newest of them.",
        examples=[{"p50": 31.0, "p90": 84.0, "p99": 210.0}],
    )


class Numbers(ChannelNumbers):
    since: datetime
    accepted: int = Field(examples=[1_200], description="Accepted events, whatever channel was asked for.")
    channels: dict[str, ChannelNumbers]
    recent_failures: list[RecentFailure]
    at_least: bool = Field(
        description="Whether some numbers may be larger than shown: with SQLite, a count ends at 200,000. A later "
        "`since` counts less."
    )


@router.get("", response_model=Numbers, responses=problems(401, 403, 422, 503))
async def get_stats(
    services: CurrentServices,
    caller: Reader,
    known: KnownParameters,
    since: Since = None,
    channel: Annotated[str | None, Query(max_length=50, examples=["webhook"])] = None,
) -> Response:
    """Numbers since an instant, by default of the last 24 hours: of one channel, or of all together and of each."""
    if wrong := [*wrong_channel(services, caller.tenant, channel)]:
        raise Invalid("The query selects by something that does not exist; see `errors`.", errors=wrong)
    now = services.clock.now()
    since = since or now - DEFAULT_PERIOD
    stats = await services.search.stats(caller.tenant, since, channel)
    numbers = {
        "since": since,
        "accepted": stats.accepted,
        **_numbers(stats.total, now),
        "channels": {kind: _numbers(counted, now) for kind, counted in stats.channels.items()},
        "recent_failures": stats.recent_failures,
        "at_least": stats.at_least,
    }
    return json_response(numbers)


def _numbers(counted: ChannelStats, now: datetime) -> dict[str, Any]:
    oldest = counted.oldest_pending_at
    return {
        "delivered": counted.delivered,
        "failed_attempts": counted.failed_attempts,
        "dead": counted.dead,
        "pending": counted.pending,
        "oldest_pending_age_seconds": None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        "latency_ms": dict(counted.latency_ms),
    }
