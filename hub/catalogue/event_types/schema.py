"""JSON Schemas of event data: compiled with limits, and applied without repeating what was sent."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import orjson
from jsonschema_rs import RegexOptions, ValidationError, validator_for
from jsonschema_rs import Validator as CompiledSchema

from hub.errors import Fault, Invalid
from hub.validation import MAX_FAULTS, pointer

MAX_BYTES = 65_536
MAX_NESTING = 64
MAX_WEIGHT = 5_000
"""Subschemas after each `$ref` is replaced by its target: bounds the cost of one check."""
MAX_DESCRIPTION = 200
"""Characters of a description that an error shows."""
_REGEX_BYTES = 1_000_000
_LIGHT_REGEX_BYTES = 32_768
_LIGHT_WEIGHT = 1_000
_LIGHT_WEIGHTS: Mapping[str, int] = {"pattern": 20, "format": 20, "multipleOf": 500}
"""How much more than any other value the costly rules weigh in a light schema, as measured with the worst data."""
_EMAIL = re.compile(
    r'(?:[^@\x00-\x20\x7f-\x9f<>()\[\],;:\\"]{1,64}|"(?:[^"\\\x00-\x1f\x7f-\x9f]|\\[\x20-\x7e]){1,62}")'
    r'@(?:[^@\x00-\x20\x7f-\x9f<>()\[\],;:\\"]{1,189}|\[[0-9A-Za-z.:-]{1,64}\])'
)
# The weigher follows pointers. These lead elsewhere, some of them only while data is checked, so their cost is unknown.
_UNBOUNDED = frozenset(("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor"))
# They look again at what the rules beside them have looked at, and so on in those.
_REPEATING = frozenset(("unevaluatedItems", "unevaluatedProperties"))


class Schema:
    """A compiled JSON Schema (draft 2020-12 unless `$schema` says otherwise; formats are checked).

    Nothing is ever fetched: a `$ref` is a pointer into the same schema, and may not lead back to itself. Regular
    expressions run in linear time, so they have neither look-around nor back-references.

    Example:

        schema = Schema.compile({"type": "object", "required": ["sku"]})
        schema.validate({"sku": "A-1"})  # ()
        [fault.pointer for fault in schema.validate({})]  # ["/data/sku"]
    """

    def __init__(self, compiled: CompiledSchema, document: Any) -> None:
        self._compiled = compiled
        self._document = document

    @classmethod
    def compile(cls, document: Any, *place: str | int) -> Self:
        """Raises `Invalid` with a pointer, under `place` (by default `/schema`), to what is wrong or too costly."""
        place = place or ("schema",)
        if not isinstance(document, dict | bool):
            raise _invalid("must be an object, true or false", place)
        # First: what is larger takes long to weigh.
        if _size(document, place) > MAX_BYTES:
            raise _invalid(f"must have at most {MAX_BYTES} bytes", place)
        _Weigher(document, place).check()
        return cls._compile(document, place, _REGEX_BYTES)

    @classmethod
    def compile_light(cls, document: Any) -> tuple[Self, int] | None:
        """A schema that costs so little that it can be compiled and applied on the event loop, with its weight: the
        cost of one check is at most proportional to it and to the size of the data. None for any other schema."""
        try:
            if isinstance(document, bool) or _size(document, ()) > MAX_BYTES:
                return None
            weight = _LightWeigher(document, ()).weight()
            return (cls._compile(document, (), _LIGHT_REGEX_BYTES), weight) if weight <= _LIGHT_WEIGHT else None
        except Invalid:
            return None

    @classmethod
    def _compile(cls, document: Any, place: tuple[str | int, ...], regex_bytes: int) -> Self:
        try:
            compiled = validator_for(
                document,
                # Otherwise the library fetches a remote `$ref` from an address that the tenant chose.
                offline=True,
                validate_formats=True,
                formats={"email": _is_email},
                pattern_options=RegexOptions(size_limit=regex_bytes),
            )
        except ValidationError as error:
            raise _invalid(_schema_detail(error), (*place, *error.instance_path)) from None
        return cls(compiled, document)

    def is_valid(self, data: Any) -> bool:
        """Whether there are no faults, which costs much less than to name them."""
        return self._compiled.is_valid(data)

    def validate(self, data: Any) -> tuple[Fault, ...]:
        """Every place, up to twenty, where an event's data breaks the schema, with pointers under `/data`."""
        if self._compiled.is_valid(data):
            return ()
        return tuple(fault for _, fault in zip(range(MAX_FAULTS), self._faults(data), strict=False))

    def _faults(self, data: Any) -> Iterator[Fault]:
        for error in self._compiled.iter_errors(data):
            details = error.kind.as_dict()
            path = ["data", *error.instance_path]
            if error.kind.name == "required":
                yield Fault("is required", pointer(*path, details["property"]))
            elif error.kind.name in {"additionalProperties", "unevaluatedProperties"}:
                yield from (Fault("is not a known member", pointer(*path, name)) for name in details["unexpected"])
            else:
                detail = _DETAILS.get(error.kind.name)
                broken = detail(details) if detail else f"breaks the rule `{error.kind.name}`"
                yield Fault(f"{broken}{self._described(error.schema_path)}", pointer(*path))

    def _described(self, rule: Sequence[str | int]) -> str:
        """What the schema says of the value that breaks this rule, as a sentence to follow another."""
        schema = self._document
        try:
            for part in rule[:-1]:
                schema = schema[part]
            description = schema["description"]
        except (KeyError, TypeError):
            # There is none, or the schema is `false`.
            return ""
        return f". {_cut(description)}"


def _cut(description: str) -> str:
    text = " ".join(description.split())
    return text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 1]}…"


_DETAILS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "type": lambda rule: f"must be of type {' or '.join(rule['types'])}",
    "enum": lambda rule: f"must be one of {_json(rule['options'])}",
    "const": lambda rule: f"must be {_json(rule['expected_value'])}",
    "format": lambda rule: f"must have the format {rule['format']}",
    "pattern": lambda rule: f"must match {rule['pattern']}",
    "minLength": lambda rule: f"must have at least {rule['limit']} characters",
    "maxLength": lambda rule: f"must have at most {rule['limit']} characters",
    "minimum": lambda rule: f"must be at least {rule['limit']}",
    "maximum": lambda rule: f"must be at most {rule['limit']}",
    "exclusiveMinimum": lambda rule: f"must be over {rule['limit']}",
    "exclusiveMaximum": lambda rule: f"must be under {rule['limit']}",
    "multipleOf": lambda rule: f"must be a multiple of {rule['multiple_of']}",
    "minItems": lambda rule: f"must have at least {rule['limit']} elements",
    "maxItems": lambda rule: f"must have at most {rule['limit']} elements",
    "minProperties": lambda rule: f"must have at least {rule['limit']} members",
    "maxProperties": lambda rule: f"must have at most {rule['limit']} members",
    "uniqueItems": lambda _: "must not hold an element twice",
    "anyOf": lambda _: "has none of the forms that are allowed",
    "oneOf": lambda _: "must have exactly one of the forms that are allowed",
    "falseSchema": lambda _: "is not allowed",
}
"""The text for each broken rule. It quotes the schema, never the data."""


class _Weigher:
    """Counts the subschemas along every reference, so that no check can take exponential time."""

    def __init__(self, document: Any, place: tuple[str | int, ...]) -> None:
        self._document = document
        self._place = place
        self._weights: dict[int, int] = {}
        self._under_way: set[int] = set()

    def weight(self) -> int:
        """Raises `Invalid` for what cannot be weighed."""
        return self._weigh(self._document, self._place, 0)

    def check(self) -> None:
        if self.weight() > MAX_WEIGHT:
            raise _invalid(f"has more than {MAX_WEIGHT} parts once its references are followed", self._place)

    def _weigh(self, node: Any, place: tuple[str | int, ...], depth: int) -> int:
        if not isinstance(node, dict | list):
            return 0
        if depth > MAX_NESTING:
            raise _invalid(f"is nested more than {MAX_NESTING} deep", place[: len(self._place) + 1])
        if id(node) in self._under_way:
            raise _invalid("must not refer to itself", place)
        # Each part is weighed once, however many references lead to it: otherwise the weighing itself would take
        # exponential time.
        if id(node) not in self._weights:
            self._under_way.add(id(node))
            self._weights[id(node)] = 1 + sum(self._inner_weights(node, place, depth))
            self._under_way.remove(id(node))
        return self._weights[id(node)]

    def _inner_weights(self, node: Any, place: tuple[str | int, ...], depth: int) -> Iterator[int]:
        for name, inner in node.items() if isinstance(node, dict) else enumerate(node):
            here = (*place, name)
            # An inner `$id` would change what the pointers below it refer to.
            if name in _UNBOUNDED or (name == "$id" and depth and isinstance(inner, str)):
                raise _invalid("is not supported; refer with $ref and a pointer such as #/$defs/name", here)
            if name == "$ref" and isinstance(inner, str):
                yield self._weigh(self._target(inner, here), here, depth + 1)
            else:
                yield self._weigh(inner, here, depth + 1)

    def _target(self, reference: str, place: tuple[str | int, ...]) -> Any:
        if not reference.startswith("#/") or "%" in reference:
            raise _invalid("must be a pointer into this schema, such as #/$defs/name", place)
        node = self._document
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                raise _invalid("leads nowhere", place)
        return node


class _LightWeigher(_Weigher):
    """Counts every value, and regular expressions for more; refuses what may cost more than in proportion."""

    def _weigh(self, node: Any, place: tuple[str | int, ...], depth: int) -> int:
        if isinstance(node, dict | list):
            return super()._weigh(node, place, depth)
        return _LIGHT_WEIGHTS.get(str(place[-1]), 1) if place else 1

    def _inner_weights(self, node: Any, place: tuple[str | int, ...], depth: int) -> Iterator[int]:
        if isinstance(node, dict) and not _REPEATING.isdisjoint(node):
            raise _invalid("may cost more than in proportion", place)
        if place[-1:] == ("patternProperties",):
            yield _LIGHT_WEIGHTS["pattern"] * len(node)
        yield from super()._inner_weights(node, place, depth)


def _size(document: Any, place: tuple[str | int, ...]) -> int:
    try:
        return len(orjson.dumps(document))
    except TypeError:
        # The encoder fails on what is nested too deep, which the weigher can tell where.
        _Weigher(document, place).check()
        raise


def _is_email(text: str) -> bool:
    """Each form that RFC 5321 has, internationalised ones too, but no display names."""
    return _EMAIL.fullmatch(text) is not None


def _schema_detail(error: ValidationError) -> str:
    if error.kind.name == "format":
        return "must be a regular expression without look-around and back-references, and not too large"
    if error.kind.name == "$ref":
        return "refers to a schema that is not known here"
    return "is not what JSON Schema allows here"


def _json(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:200] + "…"


def _invalid(detail: str, place: tuple[str | int, ...]) -> Invalid:
    return Invalid("The schema is not usable.", errors=[Fault(detail, pointer(*place))])
