"""What a Content-Type tells of a payload (RFC 9110, section 8.3): whether it is JSON, or text, and in which charset."""

import re

_JSON = re.compile(r"\s*[^\s/;]+/(?:[^\s/;]+\+)?json\s*(?:;|$)", re.IGNORECASE)
_TEXT = re.compile(r"\s*(?:text/|[^\s/;]+/(?:[^\s/;]+\+)?xml\s*(?:;|$))", re.IGNORECASE)
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([A-Za-z0-9_.:-]*)""", re.IGNORECASE)
# By name, because Python also has encodings that are no charsets, such as `punycode` and `unicode_escape`.
_KNOWN = re.compile(
    r"utf-?(8|16|32)(-?[lb]e)?|(us-)?ascii|iso-?8859-?\d{1,2}|latin-?\d|(windows|cp)-?\d{3,4}"
    r"|(iso-2022|euc)-(jp|kr)|shift_jis|gb(k|2312|18030)|big5|koi8-[ru]",
    re.IGNORECASE,
)


def is_json(content_type: str) -> bool:
    """Whether it is `…/json` or `…/…+json` (CloudEvents 1.0.2, JSON format, section 3.1)."""
    return _JSON.match(content_type) is not None


def decoded(payload: bytes, content_type: str) -> str | None:
    """The payload as text, by its charset or else UTF-8; None for one that is not text, or not exactly this text."""
    charset = _charset(content_type)
    if charset is None or not _TEXT.match(content_type):
        return None
    try:
        text = payload.decode(charset)
    except (LookupError, ValueError):
        return None
    # Some charsets write one text in several ways, as with a byte order mark: the payload would come back changed.
    return text if encoded(text, content_type) == (content_type, payload) else None


def encoded(text: str, content_type: str) -> tuple[str, bytes]:
    """The Content-Type and the bytes of a text: in its charset, or in UTF-8 where that has no room for the text."""
    try:
        return content_type, text.encode(_charset(content_type) or "ascii")
    except (LookupError, ValueError):
        return f"{content_type.partition(';')[0].strip()}; charset=utf-8", text.encode()


def _charset(content_type: str) -> str | None:
    """The charset that is named, UTF-8 for none, and None for an unknown one."""
    found = _CHARSET.search(content_type)
    if found is None:
        return "utf-8"
    return found[1] if _KNOWN.fullmatch(found[1]) else None
