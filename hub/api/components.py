"""Schemas of the OpenAPI document that no single model has: subscriptions by channel, and CloudEvents."""

from collections.abc import Mapping
from typing import Any, Final

from channels.base import Channel, SignedTarget
from hub.catalogue.subscriptions import SubscriptionSpec, SubscriptionView

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/"
_SECRET: Final = ("writeOnly", "format", "minLength", "maxLength", "pattern")
"""What is said of a secret that a client sends, and does not hold for its masked form."""

_FREE: Final = {"filter": "Filter", "template": "TemplateOverrides"}
"""Members of subscriptions that are objects of any form: with a name, generators make one type of each."""

CLOUD_EVENT: Final[Schema] = {
    "type": "object",
    "title": "CloudEvent",
    "description": "A CloudEvent 1.0 in the JSON format; further members are extension attributes.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"type": "string", "const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "dataschema": {"type": "string"},
        "data": {"description": "Any JSON."},
        "data_base64": {"type": "string"},
    },
}


def reference(name: str) -> Schema:
    """A reference to the component of this name."""
    return {"$ref": REFERENCE + name}


def subscriptions(channels: Mapping[str, type[Channel[Any]]]) -> dict[str, Schema]:
    """The components of subscriptions: for each channel what is sent and what is shown, joined on `channel`.

    `SubscriptionSpec` and `SubscriptionView` are the joined ones.
    """
    sent = SubscriptionSpec.model_json_schema(ref_template=REFERENCE + "{model}")
    shown = SubscriptionView.model_json_schema(mode="serialization", ref_template=REFERENCE + "{model}")
    components = {**sent.pop("$defs", {}), **shown.pop("$defs", {})}
    for name, component in _FREE.items():
        components[component] = {**sent["properties"][name]["anyOf"][0], "title": component}
        for schema in (sent, shown):
            schema["properties"][name]["anyOf"] = [reference(component), {"type": "null"}]
    # Answers have every member.
    shown = {**shown, "required": [*shown["properties"]], "additionalProperties": True}
    shown["properties"] = {**shown["properties"], "health": _HEALTH}
    names = {kind: "".join(part.capitalize() for part in kind.replace("-", "_").split("_")) for kind in channels}
    for kind, name in names.items():
        components |= _target(channels[kind], name)
        components |= {of: _masked(part) for of, part in _target(channels[kind], f"Masked{name}").items()}
        components[f"New{name}Subscription"] = _of_channel(sent, kind, f"New{name}Subscription", f"{name}Target")
        components[f"{name}Subscription"] = _of_channel(shown, kind, f"{name}Subscription", f"Masked{name}Target")
    components["SubscriptionSpec"] = _joined({kind: f"New{name}Subscription" for kind, name in names.items()}, sent)
    components["SubscriptionView"] = _joined({kind: f"{name}Subscription" for kind, name in names.items()}, shown)
    components["SubscriptionPatch"] = merge_patch("SubscriptionPatch", sent)
    return components


_HEALTH: Final[Schema] = {**reference("HealthView"), "description": "Only where a single subscription is read."}


def _target(channel: type[Channel[Any]], prefix: str) -> dict[str, Schema]:
    """The target as clients send it, and the components that it refers to, all under names with this prefix."""
    schema = channel.Target.model_json_schema(ref_template=REFERENCE + prefix + "{model}")
    inner = schema.pop("$defs", {})
    if issubclass(channel.Target, SignedTarget):
        del schema["properties"]["previous_secrets"]
    return {**{prefix + name: part for name, part in inner.items()}, f"{prefix}Target": schema}


def _masked(schema: Schema) -> Schema:
    """A part of a target as it is shown: with secrets in their masked form."""
    shown: Schema = _without_secrets(schema)
    shown["description"] = f"{schema.get('description', '')}\n\nAs it is shown: secrets are masked.".strip()
    # A newer version may show more.
    return {name: value for name, value in shown.items() if name not in {"additionalProperties", "examples"}}


def _without_secrets(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_secrets(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    left_out = _SECRET if schema.get("writeOnly") else ()
    return {name: _without_secrets(part) for name, part in schema.items() if name not in left_out}


def _of_channel(schema: Schema, kind: str, title: str, target: str) -> Schema:
    channel = {"type": "string", "const": kind, "title": "Channel"}
    properties = {**schema["properties"], "channel": channel, "target": reference(target)}
    return {**schema, "title": title, "properties": properties}


def _joined(names: Mapping[str, str], schema: Schema) -> Schema:
    mapping = {kind: REFERENCE + name for kind, name in names.items()}
    return {
        "description": schema["description"],
        "oneOf": [reference(name) for name in names.values()],
        "discriminator": {"propertyName": "channel", "mapping": mapping},
    }


def merge_patch(title: str, sent: Schema) -> Schema:
    """Every member of what is sent, each optional and nullable (RFC 7396)."""
    properties = {name: _nullable(member) for name, member in sent["properties"].items()}
    return {
        "type": "object",
        "title": title,
        "description": "A JSON merge patch (RFC 7396): a member that is null goes back to its default.",
        "properties": properties,
        "additionalProperties": False,
    }


def _nullable(member: Schema) -> Schema:
    if "anyOf" in member:
        return {name: value for name, value in member.items() if name != "default"}
    about: Schema = {name: member[name] for name in ("title", "description", "examples") if name in member}
    rest = {name: value for name, value in member.items() if name not in {*about, "default"}}
    return {**about, "anyOf": [rest, {"type": "null"}]}
