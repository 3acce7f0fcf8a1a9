import pytest

from channels.mail import text_of

PAGE = """\
<!doctype html><html><head><title>Title</title><style>p { color: red }</style></head><body>
<h1>Hello, J&uuml;rgen</h1>
<p>Your   order <b>#1001</b><br>is <a href="https://shop.example/o?id=1&amp;x=2">here</a>.</p>
<ul><li>tea<li>milk</ul>
<table><tr><th>Sum<td>42.50</tr><tr><th>Tax</th><td>3</td></tr></table>
<pre>  a
b</pre>
<img src="x.png" alt="The shop"><script>alert(1)</script><!-- nothing -->
</body></html>
"""
TEXT = """\
Hello, Jürgen

Your order #1001
is here <https://shop.example/o?id=1&x=2>.

- tea
- milk

Sum 42.50
Tax 3

a
b

The shop"""


def test_a_page_is_read_as_a_person_sees_it() -> None:
    assert text_of(PAGE) == TEXT


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("only text", "only text"),
        ("<div><div>a</div></div><div>b</div>", "a\nb"),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example"),
        ('<a href="mailto:a@x.example">a@x.example</a>', "a@x.example"),
        ('<a href="https://x.example"><img alt=""></a>', "https://x.example"),
        ('<a href="javascript:alert(1)">a</a> <a href="#top">b</a>', "a b"),
        ("a&nbsp;&amp;lt;b", "a &lt;b"),
    ],
)
def test_links_and_blocks(html: str, text: str) -> None:
    assert text_of(html) == text
