"""Text is cut between whole pieces of Slack's grammar."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.block_kit.cutting import cut

PIECES = ["a", " ", "é", "e\u0301", "م", "&amp;", "&lt;", "<https://e.com/?a=1&amp;b|label>", "<@U1>", "🎉", "👍🏽"]
EMOJI = ["👩\u200d👩\u200d👧\u200d👦", "🏴\U000e0067\U000e0062\U000e007f", "❤\ufe0f", "🇩🇪"]
texts = st.lists(st.sampled_from([*PIECES, *EMOJI]), max_size=40)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(texts, st.integers(7, 60), st.booleans())
def test_a_cut_keeps_whole_pieces_and_as_many_as_fit(pieces: list[str], limit: int, mrkdwn: bool) -> None:
    if not mrkdwn:
        pieces = [piece for piece in pieces if not piece.startswith("<")]
    text = "".join(pieces)
    shown = cut(text, limit, mrkdwn=mrkdwn)
    beginnings = list(accumulate(pieces, initial=""))
    if units(text) <= limit:
        assert shown == text
    else:
        assert shown == max((one for one in beginnings if units(one) < limit), key=len) + "…"


@given(texts, st.sampled_from(["`", "```"]), st.integers(7, 60))
def test_code_that_is_cut_is_closed(pieces: list[str], fence: str, limit: int) -> None:
    text = f"{fence}{''.join(pieces)}{fence}"
    shown = cut(text, limit)
    assert units(shown) <= limit
    assert shown.count(fence) == 2 or shown == "…"
    assert shown == "…" or shown.endswith(fence)


@given(st.integers(1, 60), st.integers(7, 60), st.sampled_from(["", "`", "```"]))
def test_a_link_stays_whole_or_is_cut_in_its_label(length: int, limit: int, fence: str) -> None:
    text = f"{fence}<https://e.com|{'x' * length}>{fence} and more"
    shown = cut(text, limit)
    assert units(shown) <= limit
    assert shown.count("<") == shown.count("|") == shown.count(">") == shown.count("https://e.com") <= 1
    assert shown.count("…") == (shown != text)


@given(st.text("`a\n<|>&;…", max_size=60), st.integers(7, 60))
def test_whatever_the_text_it_is_cut_to_the_limit(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert units(shown) <= limit
    assert shown == text or "…" in shown


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("x" * 10, 10, "x" * 10),
        ("x" * 11, 10, "x" * 9 + "…"),
        ("xxxx&amp;&amp;", 10, "xxxx&amp;…"),
        ("xx<https://example.com|there> and back", 12, "xx…"),
        ("<https://e.com|" + "x" * 40 + "> more", 30, "<https://e.com|xxxxxxxxxxxxx…>"),
        ("`<https://e.com|" + "&amp;" * 9 + ">`", 32, "`<https://e.com|&amp;&amp;…>`"),
        ("a <https://e.com/long/way|" + "x" * 40 + ">", 30, "a …"),
        ("```" + "x" * 20 + "```", 12, "```xxxxx…```"),
        ("say `" + "x" * 20 + "`", 12, "say `xxxxx…`"),
        ("```a``` " + "x" * 20, 12, "```a``` xxx…"),
        ("```a` " + "x" * 20, 12, "```a` xx…```"),
        ("a ` b\n" + "x" * 20, 12, "a ` b\nxxxxx…"),
        ("🎉" * 6, 10, "🎉🎉🎉🎉…"),
        ("🇩🇪🇫🇷", 7, "🇩🇪…"),
        ("a" + "\u0301" * 20, 10, "…"),
    ],
)
def test_examples(text: str, limit: int, shown: str) -> None:
    assert cut(text, limit) == shown


def test_code_stands_for_itself_in_plain_text() -> None:
    assert cut("```" + "x" * 20, 10, mrkdwn=False) == "```xxxxxx…"
