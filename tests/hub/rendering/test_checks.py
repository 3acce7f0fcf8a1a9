"""Templates that would take Liquid long to read, or could never be rendered, are refused before they are kept."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid.exceptions import LiquidSyntaxError, ResourceLimitError

from hub.errors import Invalid
from hub.rendering import Renderer
from hub.rendering.checks import MAX_TAGS, check_markup

CPU_SECONDS = 1.0
"""CPU time of this thread, far over what is allowed, for slow and busy machines; unlimited, each of these takes seconds
to years."""

REFUSED = {
    "unclosed outputs": "{{" * 32_000,
    "unclosed tags": "{%" * 32_000,
    "blanks": "{{" + " " * 65_000,
    "blanks, closed": "{{" + " " * 4_000 + "x }}",
    "raw without end": "{% raw %}" * 7_000,
    "doc without end": "{% doc %}" * 7_000,
    "quotes": "{{ '" * 16_000,
    "deep blocks": "{% if true %}" * 500 + "{% endif %}" * 500,
    "deep paths": "{{ a" + "[a" * 1_300 + "]" * 1_300 + " }}",
    "long expression": "{{ a" + " | upcase" * 7_000 + " }}",
    "many tags": "{{ a }}" * 9_000,
    "long condition": "{% if " + " or ".join(["a"] * 10_000) + " %}{% endif %}",
    "range in a condition": "{% if (1..1000000000) contains 'x' %}{% endif %}",
    "range in a variable": "{% assign r = (1..1000000000) %}",
    "range in a filter": "{{ data.list | concat: (1..1000000000) }}",
    "range in a case": "{% case 'x' %}{% when (1..1000000000) %}{% endcase %}",
    "loop table": "{% tablerow i in (1..1000000000) %}x{% endtablerow %}",
    "liquid tag": "{% liquid\nassign x = 1\n%}",
}


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_a_bomb_is_refused_before_it_is_kept(renderer: Renderer, template: str) -> None:
    started = time.thread_time()
    with pytest.raises(Invalid):
        renderer.check("note", {"plain": template})
    assert time.thread_time() - started < CPU_SECONDS


@pytest.mark.parametrize(
    "source",
    [
        "",
        "{ plain } } %} }}",
        "{{ a }}{%- if b -%}{% endif %}",
        "{% raw %}{{ {% {% endraw %}{{ a }}",
        "{% raw %}" + "{{" * 2_000 + "{%-  endraw  -%}",
        "{{ '" + "x" * 4_000 + "' }}",
        "{{ a }}" * MAX_TAGS,
    ],
)
def test_honest_markup_passes(source: str) -> None:
    check_markup(source)


@pytest.mark.parametrize(
    ("source", "index"), [("a {{ b", 2), ("{{ a }}{% b", 7), ("x{% raw %}y", 1), ("{{" + " " * 65 + "a }}", 0)]
)
def test_a_tag_that_cannot_be_read_is_pointed_at(source: str, index: int) -> None:
    with pytest.raises(LiquidSyntaxError) as refused:
        check_markup(source)
    assert refused.value.token is not None
    assert refused.value.token.start_index == index


@pytest.mark.parametrize("source", ["{{ a }}" * (MAX_TAGS + 1), ("{{ '" + "x" * 4_000 + "' }}") * 5])
def test_more_tags_than_are_allowed_are_refused(source: str) -> None:
    with pytest.raises(ResourceLimitError):
        check_markup(source)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "raw", "endraw", "doc", " ", "-", "'", "a", "\n"]), max_size=30)
)
def test_no_markup_breaks_the_check(parts: list[str]) -> None:
    with suppress(LiquidSyntaxError):
        check_markup("".join(parts))
