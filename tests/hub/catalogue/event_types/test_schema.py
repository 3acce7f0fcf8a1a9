"""JSON Schemas: compiled safely, checked without repeating what was sent."""

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hub.catalogue.event_types import Schema
from hub.errors import Fault, Invalid


def refused(document: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        Schema.compile(document)
    return [fault.pointer for fault in caught.value.errors]


def test_what_fits_has_no_faults() -> None:
    schema = Schema.compile({"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}})
    assert schema.validate({"sku": "A-1", "more": True}) == ()


@pytest.mark.parametrize(
    ("schema", "data", "fault"),
    [
        ({"required": ["a/b"]}, {}, Fault("is required", "/data/a~1b")),
        ({"type": "string"}, 5, Fault("must be of type string", "/data")),
        ({"items": {"type": ["string", "null"]}}, [1], Fault("must be of type null or string", "/data/0")),
        ({"enum": ["a", 1]}, "s3cret", Fault('must be one of ["a",1]', "/data")),
        ({"const": "a"}, "s3cret", Fault('must be "a"', "/data")),
        (
            {"items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "string", "description": "A number as a text."}}},
            [1],
            Fault("must be of type string. A number as a text.", "/data/0"),
        ),
        ({"type": "string", "description": "x" * 300}, 1, Fault(f"must be of type string. {'x' * 199}…", "/data")),
        (
            {"$defs": {"a/b": {"type": "string", "description": "A."}}, "$ref": "#/$defs/a~1b"},
            1,
            Fault("must be of type string. A.", "/data"),
        ),
        ({"pattern": "^x+$"}, "s3cret", Fault("must match ^x+$", "/data")),
        ({"format": "email"}, "s3cret", Fault("must have the format email", "/data")),
        ({"format": "date-time"}, "s3cret", Fault("must have the format date-time", "/data")),
        ({"minLength": 9}, "s3cret", Fault("must have at least 9 characters", "/data")),
        ({"maxLength": 3}, "s3cret", Fault("must have at most 3 characters", "/data")),
        ({"minimum": 3}, 2, Fault("must be at least 3", "/data")),
        ({"exclusiveMaximum": 2}, 2, Fault("must be under 2", "/data")),
        ({"multipleOf": 2}, 3, Fault("must be a multiple of 2", "/data")),
        ({"minItems": 1}, [], Fault("must have at least 1 elements", "/data")),
        ({"maxProperties": 0}, {"s3cret": 1}, Fault("must have at most 0 members", "/data")),
        ({"uniqueItems": True}, [1, 1], Fault("must not hold an element twice", "/data")),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            1,
            Fault("has none of the forms that are allowed", "/data"),
        ),
        ({"not": {"type": "string"}}, "s3cret", Fault("breaks the rule `not`", "/data")),
        (False, "s3cret", Fault("is not allowed", "/data")),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"x": "s3cret"},
            Fault("is not a known member", "/data/x"),
        ),
        ({"unevaluatedProperties": False}, {"x": "s3cret"}, Fault("is not a known member", "/data/x")),
    ],
)
def test_each_broken_rule_is_told_in_the_schemas_own_words(schema: Any, data: Any, fault: Fault) -> None:
    assert Schema.compile(schema).validate(data) == (fault,)


def test_no_more_than_twenty_faults_are_told() -> None:
    assert len(Schema.compile({"items": {"type": "string"}}).validate([1] * 1_000)) == 20


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (5, "/schema"),
        ([], "/schema"),
        ({"type": "strin"}, "/schema/type"),
        ({"properties": {"q": {"type": 5}}}, "/schema/properties/q/type"),
        ({"properties": {"q": {"pattern": "("}}}, "/schema/properties/q/pattern"),
        ({"pattern": "(?=a)b"}, "/schema/pattern"),
        ({"pattern": r"(a)\1"}, "/schema/pattern"),
        ({"pattern": "(a{1000}){1000}"}, "/schema/pattern"),
        ({"$ref": "#/$defs/no"}, "/schema/$ref"),
        ({"$ref": "http://127.0.0.1:1/s"}, "/schema/$ref"),
        ({"$ref": "file:///etc/passwd"}, "/schema/$ref"),
        ({"$ref": "#"}, "/schema/$ref"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "/schema/properties/a/$ref"),
        ({"$defs": {"a": {"$id": "http://x.example/a"}}}, "/schema/$defs/a/$id"),
        ({"$dynamicRef": "#a"}, "/schema/$dynamicRef"),
        ({"$schema": "http://x.example/meta"}, "/schema"),
    ],
)
def test_what_is_no_usable_schema_is_pointed_at(schema: Any, pointer: str) -> None:
    assert refused(schema) == [pointer]


def test_a_reference_into_the_same_schema_is_followed() -> None:
    schema = Schema.compile({"$defs": {"a/b": {"type": "string"}}, "items": {"$ref": "#/$defs/a~1b"}})
    assert [fault.pointer for fault in schema.validate(["x", 1])] == ["/data/1"]


def test_a_schema_of_exponential_cost_is_refused_at_once() -> None:
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}, {"$ref": f"#/$defs/s{n + 1}"}]} for n in range(15)}
    assert refused({"$defs": {**steps, "s15": {"type": "string"}}, "$ref": "#/$defs/s0"}) == ["/schema"]


def test_a_schema_is_limited_in_size_and_depth() -> None:
    assert refused({"description": "x" * 65_536}) == ["/schema"]
    deep: Any = {}
    for _ in range(300):
        deep = {"not": deep}
    assert refused(deep) == ["/schema/not"]


def test_regular_expressions_take_linear_time() -> None:
    schema = Schema.compile({"pattern": "^(a|a)*(a+)+$"})
    started = time.thread_time()
    assert schema.validate("a" * 50_000 + "b")
    assert time.thread_time() - started < 0.5


def test_nothing_is_fetched() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/schema"
        for document in ({"$ref": address}, {"$schema": address}, {"items": {"$ref": address + "#/x"}}):
            refused(document)
        server.shutdown()
    assert asked == []
