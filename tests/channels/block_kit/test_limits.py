"""Blocks are brought within Slack's limits."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.block_kit.limits import MAX_BLOCKS, fitted_blocks

LONG = "x" * 4_000
LINK = "https://example.com/" + LONG


def plain(text: str = LONG) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = LONG) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def button(**members: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Open"), **members}


def option(text: str = LONG) -> dict[str, Any]:
    return {"text": plain(text), "value": LONG, "description": plain()}


def fitted(block: dict[str, Any]) -> dict[str, Any]:
    (only,) = fitted_blocks([block])
    return only


def length(value: Any) -> int:
    return len(value["text"]) if isinstance(value, dict) else len(value)


@pytest.mark.parametrize(
    ("block", "path", "limit"),
    [
        ({"type": "header", "text": plain()}, ["text"], 150),
        ({"type": "section", "text": mrkdwn()}, ["text"], 3_000),
        ({"type": "section", "fields": [mrkdwn()] * 12}, ["fields", 0], 2_000),
        ({"type": "context", "elements": [mrkdwn()] * 12}, ["elements", 9], 2_000),
        ({"type": "image", "image_url": "https://e.com/i", "alt_text": LONG}, ["alt_text"], 2_000),
        ({"type": "image", "image_url": "https://e.com/i", "alt_text": "a", "title": plain()}, ["title"], 2_000),
        ({"type": "actions", "elements": [button(text=plain())]}, ["elements", 0, "text"], 75),
        ({"type": "actions", "elements": [button(value=LONG)]}, ["elements", 0, "value"], 2_000),
        ({"type": "actions", "elements": [button(action_id=LONG)]}, ["elements", 0, "action_id"], 255),
        (
            {"type": "actions", "elements": [button(accessibility_label=LONG)]},
            ["elements", 0, "accessibility_label"],
            75,
        ),
        (
            {"type": "section", "text": mrkdwn("a"), "accessory": button(text=plain())},
            ["accessory", "text"],
            75,
        ),
        (
            {"type": "section", "text": mrkdwn("a"), "accessory": {"type": "overflow", "options": [option()] * 7}},
            ["accessory", "options", 4, "description"],
            75,
        ),
        (
            {
                "type": "actions",
                "elements": [{"type": "static_select", "placeholder": plain(), "options": [option()] * 101}],
            },
            ["elements", 0, "options", 99, "value"],
            150,
        ),
        (
            {
                "type": "actions",
                "elements": [
                    button(confirm={"title": plain(), "text": plain(), "confirm": plain("y"), "deny": plain("n")})
                ],
            },
            ["elements", 0, "confirm", "text"],
            300,
        ),
        ({"type": "markdown", "text": LONG * 4}, ["text"], 12_000),
        ({"type": "of_tomorrow", "note": mrkdwn()}, ["note"], 3_000),
    ],
)
def test_a_text_over_its_limit_is_cut_to_it(block: dict[str, Any], path: list[str | int], limit: int) -> None:
    value: Any = fitted(block)
    for part in path:
        value = value[part]
    assert length(value) == limit


def test_lists_over_their_limits_are_cut() -> None:
    assert len(fitted({"type": "section", "fields": [mrkdwn("f")] * 12})["fields"]) == 10
    assert len(fitted({"type": "context", "elements": [mrkdwn("f")] * 12})["elements"]) == 10
    assert len(fitted({"type": "actions", "elements": [button()] * 30})["elements"]) == 25
    assert len(fitted_blocks([{"type": "divider"}] * 60)) == MAX_BLOCKS


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": plain(" ")},
        {"type": "section", "text": mrkdwn(""), "fields": []},
        {"type": "context", "elements": [mrkdwn(" ")]},
        {"type": "actions", "elements": [button(text=plain(" "))]},
        {"type": "image", "image_url": "", "alt_text": "a"},
        {"type": "image", "image_url": LINK, "alt_text": "a"},
        {"type": "input", "label": plain(" "), "element": {"type": "plain_text_input"}},
    ],
)
def test_a_block_that_slack_would_refuse_is_left_out(block: dict[str, Any]) -> None:
    assert fitted_blocks([block, {"type": "divider"}]) == [{"type": "divider"}]


def test_what_is_empty_or_too_long_to_be_cut_is_left_out_of_its_block() -> None:
    section = {"type": "section", "text": mrkdwn("a"), "accessory": button(text=plain(""))}
    assert fitted(section) == {"type": "section", "text": mrkdwn("a")}
    assert fitted({"type": "actions", "elements": [button(url=LINK, value="")]})["elements"] == [button()]
    image = {"type": "image", "image_url": "https://e.com/i", "alt_text": "", "title": plain("")}
    assert fitted(image) == {"type": "image", "image_url": "https://e.com/i", "alt_text": "image"}


def test_rich_text_and_what_is_no_block_are_handled() -> None:
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}
    assert fitted_blocks([rich, "text", None, 5]) == [rich]


def test_the_blocks_that_are_given_stay_as_they_were() -> None:
    block = {"type": "section", "text": mrkdwn(), "accessory": button(text=plain())}
    fitted_blocks([block])
    assert block["text"] == mrkdwn()
    assert block["accessory"] == button(text=plain())


names = st.sampled_from(
    ["type", "text", "elements", "fields", "options", "accessory", "confirm", "url", "title", "label"]
)
kinds = st.sampled_from(
    ["section", "header", "context", "actions", "button", "image", "static_select", "mrkdwn", "new"]
)
values = st.recursive(
    st.none() | kinds | st.sampled_from(["", " ", LONG]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=3))
def test_whatever_a_template_gives_no_text_object_is_empty_or_too_long(blocks: list[Any]) -> None:
    for text in text_objects(fitted_blocks(blocks)):
        assert 0 < len(text) <= 3_000


def text_objects(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn" and isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            yield from text_objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from text_objects(inner)
