"""Mail addresses, as they may stand in the headers that name a sender and recipients."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import quote

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

MAX_NAME_LENGTH = 128
_WITH_NAME = re.compile(r"(?P<name>.*)<(?P<address>[^<>]+)>", re.DOTALL)
_LIST = re.compile(r"<[^<>]*@[^<>]*>\s*[,;]")
_SPECIALS = re.compile(r'[][\\()<>@,:;".]')
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Unicode, annex 9: they turn the text after them around, so that a name can show an address that it does not have."""

# The relay knows its internal domains, such as `.local`. This is how the library lets them be accepted:
# https://github.com/JoshData/python-email-validator#special-use-domains
SPECIAL_USE_DOMAIN_NAMES.clear()


class InvalidAddress(ValueError):
    """Text that is not exactly one mail address. The message does not repeat the text."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address with its display name, which may be empty."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        if not self.name:
            return self.address
        return f"{quoted(self.name) if _SPECIALS.search(self.name) else self.name} <{self.address}>"


def parse_mailbox(text: str) -> Mailbox:
    """The mailbox in `ann@example.com` or `Ann <ann@example.com>`, with an international domain in ASCII.

    Each address that RFC 5321 allows is accepted: also in an internal domain, at an address literal such as
    `[192.0.2.1]`, or with a quoted part before the `@`. Raises `InvalidAddress`, also for text that can be read as
    several addresses: a value put into a template could add a recipient with `a@example.com, b@example.com`.
    """
    named = _WITH_NAME.fullmatch(text.strip())
    name, address = (named["name"].strip(), named["address"]) if named else ("", text.strip())
    if _LIST.search(name):
        raise InvalidAddress("not exactly one mail address")
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    try:
        checked = validate_email(
            address,
            check_deliverability=False,
            globally_deliverable=False,
            allow_domain_literal=True,
            allow_quoted_local=True,
        )
    except EmailNotValidError:
        raise InvalidAddress("not a mail address") from None
    return Mailbox(header_text(name)[:MAX_NAME_LENGTH], f"{checked.local_part}@{checked.ascii_domain}")


def header_text(text: str) -> str:
    """`text` with each run of white space as one space, and without the characters that harm a header: control
    characters, and those that turn the text after them around.

    Encoded words with a line break in them, such as `=?utf-8?q?a=0A?=`, lose the mark by which they are recognised:
    whatever decodes them could end the header there.
    """
    plain = "".join(character for character in " ".join(text.split()) if not _is_harmful(character))
    if "=?" in plain and any(map(_is_harmful, _decoded(plain))):
        plain = re.sub(r"=\?+", "=", plain)
    return " ".join(plain.split())


def quoted(name: str) -> str:
    """A display name as a quoted string (RFC 5322, section 3.2.4)."""
    return f'"{quote(name)}"'


def without_repeats(boxes: Iterable[Mailbox], seen: set[str]) -> tuple[Mailbox, ...]:
    """The boxes whose address is not yet in `seen`; adds them to it. A person who is named twice gets one copy."""
    kept = []
    for box in boxes:
        key = box.address.casefold()
        if key not in seen:
            seen.add(key)
            kept.append(box)
    return tuple(kept)


def _is_harmful(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _BIDI_CONTROLS


def _decoded(text: str) -> str:
    try:
        parts = decode_header(text)
    except HeaderParseError:
        # A control character, so that text that cannot be decoded counts as harmful.
        return "\0"
    return "".join(
        part if isinstance(part, str) else part.decode(_known(charset), "replace") for part, charset in parts
    )


def _known(charset: str | None) -> str:
    try:
        "".encode(charset or "ascii")
    except LookupError:
        return "ascii"
    return charset or "ascii"
