"""The channels, and whether they could send."""

from dataclasses import asdict

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from hub.api.access import Admin, CurrentServices
from hub.api.problems import problems
from hub.api.shapes import listed

router = APIRouter(prefix="/v1/channels", tags=["channels"])


class ChannelFault(BaseModel):
    detail: str = Field(examples=["the mail server refused the login: 535"])
    subscription_id: str | None = Field(description="Null where it concerns the settings of the channel.")


class CheckedChannel(BaseModel):
    kind: str = Field(examples=["email"])
    subscriptions: int = Field(description="How many are enabled, of all tenants.")
    problems: list[ChannelFault]


class CheckedChannelList(BaseModel):
    items: list[CheckedChannel]
    next_cursor: str | None = Field(description="Always null: the list is short.")


@router.post("/check", response_model=CheckedChannelList, responses=problems(401, 403))
async def check_channels(services: CurrentServices, caller: Admin) -> Response:
    """Check the settings of every channel, and the credentials of at most 50 targets of each; nothing is sent.

    It logs in to the mail server, and asks Slack about the tokens of bots. That takes 8 seconds at most.
    """
    return listed([CheckedChannel(**asdict(one)) for one in await services.check_channels()])
