"""Which URLs a target may contain."""

import pytest
from pydantic import ValidationError

from channels.webhook import WebhookTarget


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com", "https://", "//example.com", "example.com", "javascript:alert(1)", "http:///x"),
        *("https://u:p@example.com", "https://u@example.com", "https://example.com/#f", "https://example.com:0"),
        *("https://example.com:65536", "https://exa mple.com", "https://example.com/\n", "https://example.com/\x00"),
        *("http://0177.0.0.1", "http://2852039166/", "https://１２７.0.0.1/", "https://example.com/" + "a" * 2048),
    ],
)
def test_a_url_that_cannot_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookTarget(url=url)


@pytest.mark.parametrize("url", ["https://bücher.example/ä?q=ü", "HTTP://EXAMPLE.com:8080", "http://[2001:db8::1]/x"])
def test_an_unusual_but_valid_url_is_taken(url: str) -> None:
    assert WebhookTarget(url=url).url == url
