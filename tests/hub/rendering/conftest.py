"""A channel that has a field of each kind, and an event for it."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, SecretStr

from channels.base import Channel, Escape, Message, Receipt, Rendered, TargetModel
from hub.rendering import Renderer


class NoteTarget(TargetModel):
    to: Annotated[list[str], Field(min_length=1), Rendered()]
    reply_to: Annotated[str | None, Rendered()] = None
    label: str = "{{ type }}"
    token: SecretStr = SecretStr("t")
    sender: Annotated[str, Rendered()] = Field("", alias="from")


class NoteChannel(Channel[NoteTarget]):
    """Never sends; rendering needs its class only."""

    kind = "note"
    Target = NoteTarget
    default_template: ClassVar[Mapping[str, Any]] = {
        "plain": "{{ type }}",
        "html": "<p>{{ type }}</p>",
        "blocks": [{"type": "section", "text": "*{{ type }}*"}],
    }
    escapes: ClassVar[Mapping[str, Escape]] = {"html": "html", "blocks": "mrkdwn"}

    async def send(self, message: Message, target: NoteTarget) -> Receipt:
        raise NotImplementedError


class SilentChannel(NoteChannel):
    """Has no template fields."""

    kind = "silent"
    default_template: ClassVar[Mapping[str, Any]] = {}


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer({"note": NoteChannel, "silent": SilentChannel})


def seen(data: Any, event_type: str = "stock.low") -> dict[str, Any]:
    return {
        "id": "evt_1",
        "type": event_type,
        "source": "/shop",
        "subject": None,
        "time": "2026-11-23T12:00:00Z",
        "data": data,
    }
