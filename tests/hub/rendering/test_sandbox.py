"""Templates that try to burn time or memory are stopped while they are rendered."""

import time
import tracemalloc
from typing import Any

import pytest

from hub.rendering import Renderer, RenderFailed
from tests.hub.rendering.conftest import seen

CPU_SECONDS = 1.0
"""CPU time of this thread, far over what is allowed, for slow and busy machines; unlimited, each of these takes seconds
to years."""

DATA: dict[str, Any] = {
    "big": "a" * 200_000,
    "words": "a " * 100_000,
    "list": list(range(20_000)),
    "one": {"a": [{"b": number} for number in range(5_000)]},
    "other": {"a": [{"b": number} for number in range(5_000)]},
    "n": 10**18,
}

RUNNING = {
    "nested loops": "{% for a in (1..999) %}" * 3 + "x" + "{% endfor %}" * 3,
    "huge range": "{% for i in (1..1000000000) %}x{% endfor %}",
    "huge range, reversed": "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "range over what a machine can count": "{% for i in (1..99999999999999999999999) %}x{% endfor %}",
    "range up to a value": "{% for i in (1..data.n) %}x{% endfor %}",
    "one loop after the other": "{% for i in data.list %}{{ i }}{% endfor %}" * 300,
    "long body": "{% for i in (1..5000) %}" + "{% if true %} {% endif %}" * 400 + "{% endfor %}",
    "output": "{{ data.big }}" * 900,
    "output in loops": "{% for i in (1..900) %}{{ data.big }}{% endfor %}",
    "objects": "{{ data.one }}" * 900,
    "replace": "{{ data.big | replace: 'a', data.big }}",
    "replace nothing": "{{ data.big | replace: '', data.big }}",
    "append": "{% assign s = data.big %}" + "{% assign s = s | append: s %}" * 40,
    "append in a loop": "{% assign s = 'x' %}{% for i in (1..900) %}{% assign s = s | append: s %}{% endfor %}",
    "prepend": "{% assign s = data.big %}" + "{% assign s = s | prepend: s %}" * 40,
    "capture": "{% assign s = data.big %}" + "{% capture s %}{{ s }}{{ s }}{% endcapture %}" * 30,
    "variables": "".join(f"{{% assign v{number} = data.big | upcase %}}" for number in range(400)),
    "times": "{% assign x = data.n %}" + "{% assign x = x | times: x %}" * 60,
    "split and join": "{{ data.words | split: ' ' | join: data.big }}",
    "concat": "{% assign x = data.list %}" + "{% assign x = x | concat: x %}" * 40,
    "sort": "{% for i in (1..900) %}{% assign x = data.list | sort %}{% endfor %}",
    "uniq": "{% for i in (1..900) %}{% assign x = data.list | uniq %}{% endfor %}",
    "comparison": "{% for i in (1..900) %}{% if data.one == data.other %}{% endif %}{% endfor %}",
    "search": "{% for i in (1..900) %}{% if data.big contains 'aaaaaaaaaaaaaaab' %}{% endif %}{% endfor %}",
    "upcase": "{% for i in (1..900) %}{% assign x = data.big" + " | upcase" * 20 + " %}{% endfor %}",
    "json": "{% for i in (1..900) %}{{ data.one | json: 2 }}{% endfor %}",
    "date form": "{{ '2026-01-01' | date: data.big }}" * 400,
    "infinite number": "{{ '1e400' | ceil }}",
    "long number": "{{ '" + "9" * 4_000 + "' | ceil }}",
}


@pytest.mark.parametrize("template", RUNNING.values(), ids=RUNNING)
def test_a_bomb_is_stopped_while_it_is_rendered(renderer: Renderer, template: str) -> None:
    renderer.check("note", {"plain": template})
    started = time.thread_time()
    with pytest.raises(RenderFailed):
        renderer.content("note", seen(DATA), {"plain": template})
    assert time.thread_time() - started < CPU_SECONDS


@pytest.mark.parametrize("template", RUNNING.values(), ids=RUNNING)
def test_a_bomb_takes_little_memory(renderer: Renderer, template: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RenderFailed):
            renderer.content("note", seen(DATA), {"plain": template})
        assert tracemalloc.get_traced_memory()[1] < 32 * 1_048_576
    finally:
        tracemalloc.stop()


def test_work_adds_up_over_all_fields(renderer: Renderer) -> None:
    once = "{{ data.big }}" * 3
    assert renderer.content("note", seen(DATA), {"plain": once})
    with pytest.raises(RenderFailed):
        renderer.content("note", seen(DATA), {"plain": once, "html": once})
    with pytest.raises(RenderFailed):
        renderer.content("note", seen(DATA), {"blocks": [{"text": "{% for i in (1..900) %} {% endfor %}"}] * 100})


def test_a_long_but_honest_template_is_rendered(renderer: Renderer) -> None:
    data = {"items": [{"name": f"Article {number}", "price": "12.50"} for number in range(300)]}
    row = "<tr><td>{{ item.name }}</td><td>{{ item.price | money: 'EUR' }}</td></tr>"
    shown = renderer.content("note", seen(data), {"html": "{% for item in data.items %}" + row + "{% endfor %}"})
    assert shown["html"].count("<tr>") == 300
