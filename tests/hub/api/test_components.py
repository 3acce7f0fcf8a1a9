"""Subscriptions in the OpenAPI document: one schema for each channel, also one that another distribution adds."""

from typing import Annotated, Any, Literal

import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import BaseModel, Field, SecretStr

from channels import load_channels
from channels.base import Channel, Message, Receipt, Rendered, TargetModel
from hub.api.components import reference, subscriptions


class Line(BaseModel):
    token: SecretStr
    number: str


class PagerTarget(TargetModel):
    """Whom to page."""

    lines: Annotated[tuple[Line, ...], Field(min_length=1)]
    text: Annotated[str, Rendered()] = "{{ type }}"
    urgency: Literal["low", "high"] = "low"


class Pager(Channel[PagerTarget]):
    kind = "night-pager"
    Target = PagerTarget

    async def send(self, message: Message, target: PagerTarget) -> Receipt:
        return Receipt()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return subscriptions({**load_channels(), "night-pager": Pager})


def is_valid(schemas: dict[str, Any], name: str, value: Any) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": {**schemas, "HealthView": {}}}}
    return Draft202012Validator(schema).is_valid(value)


def sent(channel: str, target: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"name": "a", "event_types": ["order.*"], "channel": channel, "target": target, **members}


@pytest.mark.parametrize("name", ["SubscriptionSpec", "SubscriptionView"])
def test_the_channel_tells_which_schema_holds(schemas: dict[str, Any], name: str) -> None:
    mapping = schemas[name]["discriminator"]["mapping"]
    assert schemas[name]["discriminator"]["propertyName"] == "channel"
    assert {*mapping} == {*load_channels(), "night-pager"}
    for kind, place in mapping.items():
        schema = schemas[place.removeprefix("#/components/schemas/")]
        assert schema["properties"]["channel"]["const"] == kind
        assert {"channel", "target"} <= {*schema["required"]}


@pytest.mark.parametrize(
    ("spec", "fits"),
    [
        (sent("file", {"name": "orders"}), True),
        (sent("file", {"url": "https://example.com"}), False),
        (sent("webhook", {"url": "https://example.com"}, filter=None), True),
        (sent("webhook", {"url": "https://example.com", "previous_secrets": []}), False),
        (sent("webhook", {"url": "https://example.com"}, colour="red"), False),
        (sent("night-pager", {"lines": [{"token": "t", "number": "1"}]}), True),
        (sent("night-pager", {"lines": []}), False),
        (sent("morse", {}), False),
    ],
)
def test_a_target_has_to_fit_its_channel(schemas: dict[str, Any], spec: dict[str, Any], fits: bool) -> None:
    assert is_valid(schemas, "SubscriptionSpec", spec) is fits


def test_in_a_patch_every_member_may_be_left_out_or_null(schemas: dict[str, Any]) -> None:
    for patch in ({}, {"filter": None, "timeout": None, "enabled": None}, {"target": {"url": "https://example.com"}}):
        assert is_valid(schemas, "SubscriptionPatch", patch)
    for wrong in ({"colour": 1}, {"timeout": 99}, {"event_types": "order.*"}):
        assert not is_valid(schemas, "SubscriptionPatch", wrong)


def test_what_is_shown_holds_masked_secrets_and_is_not_for_writing_only(schemas: dict[str, Any]) -> None:
    shown = [name for name in schemas if name.startswith("Masked")]
    assert {"MaskedWebhookTarget", "MaskedSlackTarget", "MaskedNightPagerTarget"} <= {*shown}
    for name in shown:
        assert "writeOnly" not in str(schemas[name])
        assert "previous_secrets" not in schemas[name]["properties"]
    assert schemas["NightPagerLine"]["properties"]["token"]["writeOnly"]
    assert schemas["MaskedNightPagerTarget"]["properties"]["lines"]["items"] == reference("MaskedNightPagerLine")
