"""Which template is used, how values are escaped, and what is refused."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import SecretStr

from channels.base import Escape
from hub.compute import ComputePool
from hub.errors import Invalid
from hub.rendering import Renderer, RenderFailed
from hub.rendering.compiled import trusted, untrusted
from hub.rendering.sandbox import Meter
from tests.hub.rendering.conftest import NoteChannel, NoteTarget, seen

HOSTILE = """<b>"A" & 'B'</b> <!channel> {{ id }}"""


def show(renderer: Renderer, data: Any, **override: Any) -> dict[str, Any]:
    return renderer.content("note", seen(data), override)


def test_without_an_override_the_channels_own_template_is_used(renderer: Renderer) -> None:
    assert renderer.content("note", seen({}), None) == {
        "plain": "stock.low",
        "html": "<p>stock.low</p>",
        "blocks": [{"type": "section", "text": "*stock.low*"}],
    }


def test_an_override_takes_the_place_of_one_field_only(renderer: Renderer) -> None:
    shown = show(renderer, {"sku": "A"}, plain="{{ data.sku }}!")
    assert (shown["plain"], shown["html"]) == ("A!", "<p>stock.low</p>")


def test_a_field_that_is_made_from_an_overridden_one_is_left_to_the_channel(
    renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoteChannel, "made_from", {"plain": "html"})
    assert "plain" not in show(renderer, {}, html="<b>new</b>")
    assert show(renderer, {}, html="<b>new</b>", plain="own")["plain"] == "own"
    # Without the other field there is nothing to make it from.
    assert show(renderer, {}, html="")["plain"] == "stock.low"
    assert show(renderer, {}, blocks=[])["plain"] == "stock.low"


def test_a_channel_without_template_fields_has_no_content(renderer: Renderer) -> None:
    assert renderer.content("silent", seen({}), None) == {}


def test_values_are_escaped_for_the_field_that_they_enter(renderer: Renderer) -> None:
    template = "{{ data.x }}"
    shown = show(
        renderer, {"x": HOSTILE}, plain=template, html=template, blocks=[{"text": template, "n": 5, "z": None}]
    )
    assert shown["plain"] == HOSTILE
    assert shown["html"] == "&lt;b&gt;&quot;A&quot; &amp; &#x27;B&#x27;&lt;/b&gt; &lt;!channel&gt; {{ id }}"
    assert shown["blocks"] == [
        {"text": """&lt;b&gt;"A" &amp; 'B'&lt;/b&gt; &lt;!channel&gt; {{ id }}""", "n": 5, "z": None}
    ]


@pytest.mark.parametrize(
    ("how", "template", "shown"),
    [
        ("json", '{"a": "{{ data.x }}"}', {"a": HOSTILE + "\\\n"}),
        ("json", '{"a": {{ data.x | json }}}', {"a": HOSTILE + "\\\n"}),
        ("json", '{"a": "{{ data.x | upcase }}"}', {"a": (HOSTILE + "\\\n").upper()}),
        ("json", '{% capture c %}"{{ data.x }}"{% endcapture %}[{{ c }}, {{ data | json }}]', None),
        ("json", '{"a": "{{ data.x | escape }}{{ data.x | newline_to_br }}"}', None),
        ("json", '{"a": "{{ data.x | json }}"}', ValueError),
        ("url", "a={{ data.x }}&b={{ data.x | url_encode }}&c={{ data.x | strip | escape | strip_html }}", 3),
    ],
)
def test_values_are_escaped_for_json_and_for_forms(how: Escape, template: str, shown: Any) -> None:
    text = trusted(how).render(template, seen({"x": HOSTILE + "\\\n"}), Meter(), ())
    if how == "url":
        assert len(parse_qsl(text)) == shown
        assert dict(parse_qsl(text))["a"] == dict(parse_qsl(text))["b"] == HOSTILE + "\\\n"
    elif shown is ValueError:
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(text)
    else:
        assert shown in (None, json.loads(text))


@pytest.mark.parametrize("field", ["html", "blocks"])
def test_conditions_and_filters_see_values_as_they_are(renderer: Renderer, field: str) -> None:
    template = (
        "{% if data.x == 'a & b' and data.x contains '&' %}{{ data.x | upcase | replace: '&', 'and' }}"
        "{{ data.x.size }}{% endif %}"
    )
    value: Any = template if field == "html" else [template]
    shown = show(renderer, {"x": "a & b"}, **{field: value})[field]
    assert shown in ("A and B", ["A and B"]) or "A and B" in str(shown)


def test_what_is_captured_is_escaped_once(renderer: Renderer) -> None:
    template = "{% capture x %}<i>{{ data.x }}</i>{% endcapture %}{% assign y = x %}{{ y | default: 'none' }}"
    assert show(renderer, {"x": "a & <b>"}, html=template)["html"] == "<i>a &amp; &lt;b&gt;</i>"
    assert show(renderer, {"x": "a & <b>"}, blocks=[template])["blocks"] == ["<i>a &amp; &lt;b&gt;</i>"]


def test_a_filter_on_captured_text_escapes_rather_than_trusts(renderer: Renderer) -> None:
    template = "{% capture x %}<i>{% endcapture %}{{ x | append: data.x }}"
    assert "<b>" not in show(renderer, {"x": "<b>"}, html=template)["html"]


def test_a_value_cannot_break_the_structure_around_it(renderer: Renderer) -> None:
    shown = show(renderer, {"x": '"},{"type":"evil'}, blocks=[{"{{ data.x }}": ["{{ data.x }}"]}])
    assert shown["blocks"] == [{"{{ data.x }}": ['"},{"type":"evil']}]


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{{ data.none }}{{ data.none.deeper }}{{ nothing }}{{ data.absent }}", ""),
        ("{{ data.yes }} {{ data.n }} {{ data.f }}", "true 3 1.5"),
        ("{{ data.map }}", '{"a":[1,{"b":null}]}'),
        ("{{ data.list }}", '12{"a":1}'),
        ("{{ data.map | json }}", '{"a":[1,{"b":null}]}'),
        ("{{ now }}{{ today }}", ""),
        ("{% for m in data.map %}{{ m[0] }}={{ m[1] | json }}{% endfor %}", 'a=[1,{"b":null}]'),
        ("{% for x in (1..3) %}{{ forloop.index }}{% if forloop.last %}.{% endif %}{% endfor %}", "123."),
        ("{% for x in data.list limit: 1 %}{{ x }}{% else %}none{% endfor %}", "1"),
        ("{% for x in data.none %}{% else %}none{% endfor %}", "none"),
        ("{% case data.n %}{% when 3 %}three{% else %}?{% endcase %}", "three"),
        ("{% unless data.yes %}no{% endunless %}{% comment %}{{ x }}{% endcomment %}{% # note %}", ""),
        ("{% raw %}{{ as it is }}{% endraw %}{{ data.n }}", "{{ as it is }}3"),
        ("{{ data.__class__ }}{{ data.list.append }}{{ data.f.real }}", ""),
        ("{ plain } {", "{ plain } {"),
    ],
)
def test_templates_are_liquid_and_lenient_with_what_is_missing(renderer: Renderer, template: str, shown: str) -> None:
    data = {"yes": True, "n": 3, "f": 1.5, "absent": None, "map": {"a": [1, {"b": None}]}, "list": [1, 2, {"a": 1}]}
    assert show(renderer, data, plain=template)["plain"] == shown


@pytest.mark.parametrize(
    ("template", "pointer", "detail"),
    [
        ({"subject": "x"}, "/template/subject", "plain, html, blocks"),
        ({"plain": ["x"]}, "/template/plain", "must be a string"),
        ({"plain": None}, "/template/plain", "must be a string"),
        ({"blocks": "x"}, "/template/blocks", "must be an array"),
        ({"plain": "a\nb {{ data.x"}, "/template/plain", "line 2, column 3: it is not valid Liquid"),
        ({"plain": "{% if x %}"}, "/template/plain", "it is not valid Liquid"),
        ({"plain": "{% bad %}"}, "/template/plain", "it is not valid Liquid"),
        ({"plain": "{{ x | nope }}"}, "/template/plain", "there is no such filter; the filters are abs, "),
        ({"plain": "{% include 'email/layout.html' %}"}, "/template/plain", "it is not valid Liquid"),
        ({"plain": "{% render 'email/layout.html' %}"}, "/template/plain", "it is not valid Liquid"),
        ({"blocks": [{"a": ["x", "{{ x"]}]}, "/template/blocks/0/a/1", "it is not valid Liquid"),
        ({"blocks": ["x"] * 600}, "/template/blocks", "is too large"),
        (
            {"plain": "x" * 40_000, "html": "x" * 40_000},
            "/template/html",
            "brings the templates to more than 65536 characters",
        ),
    ],
)
def test_a_template_that_cannot_work_is_refused_before_it_is_stored(
    renderer: Renderer, template: dict[str, Any], pointer: str, detail: str
) -> None:
    with pytest.raises(Invalid) as caught:
        renderer.check("note", template)
    assert [fault.pointer for fault in caught.value.errors] == [pointer]
    assert detail in caught.value.errors[0].detail


def test_a_channel_without_template_fields_takes_no_override(renderer: Renderer) -> None:
    with pytest.raises(Invalid) as caught:
        renderer.check("silent", {"plain": "x"})
    assert "it has none" in caught.value.errors[0].detail


def test_every_mistake_is_told_at_once(renderer: Renderer) -> None:
    with pytest.raises(Invalid) as caught:
        renderer.check("note", {"plain": "{{", "html": "{% x %}", "more": 1})
    assert [fault.pointer for fault in caught.value.errors] == ["/template/plain", "/template/html", "/template/more"]


def test_a_failure_names_the_place_and_no_value(renderer: Renderer) -> None:
    for template in ("a\n{{ data.x | divided_by: 0 }}", "a\n{{ 1 | plus: 1 }}{{ data.x | concat: data.x }}"):
        with pytest.raises(RenderFailed) as caught:
            show(renderer, {"x": "s3cret"}, blocks=[{"text": template}])
        assert str(caught.value).startswith("blocks.0.text, line 2, column ")
        assert "s3cret" not in str(caught.value)


def test_templates_in_a_target_are_rendered_where_the_channel_marks_them(renderer: Renderer) -> None:
    target = NoteTarget.model_validate(
        {
            "to": ["{{ data.email }}", "fixed@example.com"],
            "reply_to": "{{ id }}",
            "from": "{{ type }}",
            "token": "{{ id }}",
        }
    )
    rendered = renderer.target(target, seen({"email": "a&b@example.com"}))
    assert rendered == target.rendered(
        {"to": ["a&b@example.com", "fixed@example.com"], "reply_to": "evt_1", "sender": "stock.low"}
    )
    assert rendered.model_dump()["token"] == SecretStr("{{ id }}")


def test_a_target_without_templates_stays_the_same_object(renderer: Renderer) -> None:
    target = NoteTarget(to=["a@example.com"])
    assert renderer.target(target, seen({})) is target


def test_templates_in_a_target_are_checked_too(renderer: Renderer) -> None:
    renderer.check_target(NoteTarget(to=["{{ data.email }}"]))
    with pytest.raises(Invalid) as caught:
        renderer.check_target(NoteTarget.model_validate({"to": ["ok", "{{ x"], "from": "{% x %}"}))
    assert [fault.pointer for fault in caught.value.errors] == ["/target/to/1", "/target/from"]


def test_compiled_templates_are_cached_up_to_a_size(renderer: Renderer) -> None:
    for number in range(60):
        show(renderer, {}, plain=f"{number}{{{{ id }}}}" + "x" * 60_000)
    compiled = untrusted(None)
    assert sum(map(len, compiled._cache)) == compiled._characters <= 2 * 1_048_576
    assert len(compiled._cache) > 30


@pytest.mark.process
async def test_large_templates_are_compiled_elsewhere_before_they_are_checked(renderer: Renderer) -> None:
    template = {"plain": "{{ data.a }}" * 200 + "{% nothing %}"}
    with pytest.raises(Invalid) as here:
        renderer.check("note", template)
    async with ComputePool() as compute:
        await renderer.prepare("acme", [template, None, {"plain": "{{ data.b }}" * 200}], compute)
    assert [*renderer._known.values()] == [here.value.errors[0].detail, None]
    with pytest.raises(Invalid) as prepared:
        renderer.check("note", template)
    assert prepared.value.errors == here.value.errors
