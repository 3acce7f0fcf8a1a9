"""The document says what a webhook receives: held against what one receives."""

import pytest
from jsonschema_rs import Draft202012Validator

from hub.api.components import CLOUD_EVENT
from hub.api.webhooks import WEBHOOK_MESSAGE, WEBHOOKS
from hub.testing.receivers import Receiver
from tests.api_support import Api

RECEIVED = WEBHOOKS["event"]["post"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("form", "schema"), [("standard", WEBHOOK_MESSAGE), ("cloudevents", CLOUD_EVENT)])
async def test_a_delivery_has_the_documented_headers_and_a_body_that_fits(
    api: Api, form: str, schema: dict[str, object]
) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url, "format": form})
        await api.admin.post("/v1/events", json={"type": "stock.low", "data": 1}, headers={"traceparent": PARENT})
        (arrival, *_) = await receiver.arrived()
    assert all(header["name"] in arrival.headers for header in RECEIVED["parameters"])
    assert arrival.headers["content-type"] in RECEIVED["requestBody"]["content"]
    Draft202012Validator(schema).validate(arrival.json())
