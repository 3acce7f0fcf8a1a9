"""An attempt that hangs at its receiver until a test lets it go."""

import asyncio

from tests.api_support import Api
from tests.receivers import Answer, Arrival


class Gate:
    """A receiver's behaviour: it answers nothing until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, arrival: Arrival) -> Answer:
        await self.opened.wait()
        return Answer(200)


async def turn(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def attempts(api: Api) -> list[str]:
    (delivered,) = await api.deliveries("delivered")
    shown = (await api.admin.get(f"/v1/deliveries/{delivered['id']}")).json()["attempts"]
    return [attempt["outcome"] for attempt in shown]
