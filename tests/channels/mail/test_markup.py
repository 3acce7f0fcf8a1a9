import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail.markup import Tag, tokens


def test_tags_and_texts_come_in_their_order() -> None:
    assert list(tokens('<P>1 &lt; 2<br/><a HREF="https://x.example/?a=1&amp;b=2" class=x>here</a>')) == [
        Tag("p", closes=False, attributes={}),
        "1 < 2",
        Tag("br", closes=False, attributes={}),
        Tag("a", closes=False, attributes={"href": "https://x.example/?a=1&b=2"}),
        "here",
        Tag("a", closes=True, attributes={}),
    ]


@pytest.mark.parametrize(
    ("html", "texts"),
    [
        ("a<!-- <b>c</b> -->d", ["a", "d"]),
        ("a<!-- without an end", ["a"]),
        ("a<!-->b<!--->c", ["a", "b", "c"]),
        ("<!doctype html><?xml?>a", ["a"]),
        ("<script>if (a < b) c('<p>')</script>d", ["d"]),
        ("<STYLE>p > a {}</Style>d", ["d"]),
        ("3 < 4", ["3 ", "<", " 4"]),
        ('<img alt="a > b">c', ["c"]),
        ("a<p class=", ["a", "<p class="]),
    ],
)
def test_what_is_not_shown_is_left_out_and_what_is_no_tag_is_text(html: str, texts: list[str]) -> None:
    assert [token for token in tokens(html) if isinstance(token, str)] == texts


@given(st.text(alphabet="<>/!-\"'= ab&;", max_size=200))
def test_no_text_breaks_it(html: str) -> None:
    shown = sum(len(token) for token in tokens(html) if isinstance(token, str))
    assert shown <= len(html)
