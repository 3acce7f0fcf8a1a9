"""An event type: as clients write it, and as it is kept and shown."""

import re
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hub.catalogue.event_types.checking import TenantSchema
from hub.models import Kept

MAX_SEARCH = 5
_SEARCH_MEMBER = r'^data(\.[^."\\\x00-\x1f]{1,64}){1,8}$'


def _check_member(text: str) -> str:
    if not re.search(_SEARCH_MEMBER, text):
        raise ValueError("must be the dotted path of a member of the data, such as data.customer.phone")
    return text


SearchMember = Annotated[str, AfterValidator(_check_member), Field(json_schema_extra={"pattern": _SEARCH_MEMBER})]
_SCHEMA_EXAMPLE = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}


class EventTypeSpec(BaseModel):
    """An event type as clients write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    description: str | None = Field(default=None, max_length=2_000, examples=["An article is about to sell out."])
    schema_: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        description="JSON Schema of the data, draft 2020-12 unless `$schema` says otherwise; what it refers to outside "
        "of itself is never fetched.",
        examples=[_SCHEMA_EXAMPLE],
    )
    example: Any = Field(default=None, description="Data that fits the schema.", examples=[{"sku": "A-1"}])
    search: tuple[SearchMember, ...] = Field(
        default=(),
        max_length=MAX_SEARCH,
        description="Dotted paths of further members in which `q` of the lists of events and deliveries searches.",
        examples=[["data.sku"]],
    )


class EventType(Kept):
    """An event type as it is kept and shown. Those with `built_in` always exist; registering one adds to its rules."""

    model_config = ConfigDict(serialize_by_alias=True)

    type: str = Field(examples=["stock.low"])
    built_in: bool = False
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema", examples=[_SCHEMA_EXAMPLE])
    example: Any = Field(default=None, description="Data that fits the schema.", examples=[{"sku": "A-1"}])
    search: tuple[str, ...] = Field(default=(), examples=[["data.sku"]])
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def in_place_of(self, former: "EventType") -> "EventType":
        """This type as it replaces another, with what only a newer version knows of that."""
        made = self.model_copy(update={"created_at": former.created_at})
        made._unknown = former._unknown
        return made

    @cached_property
    def validator(self) -> TenantSchema | None:
        """The schema, which checks an event's data; compiled once for each change of the type."""
        return None if self.schema_ is None else TenantSchema(self.schema_)
