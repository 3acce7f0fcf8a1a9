"""Mail addresses, as they may stand in the headers that name a sender and recipients."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from email.headerregistry import Address

from email_validator import EmailNotValidError, validate_email

MAX_NAME_LENGTH = 128
_WITH_NAME = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")


class InvalidText(ValueError):
    """Text that must not go into a header. The message does not repeat the text."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One address with its display name, which may be empty."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]

    def __str__(self) -> str:
        local, _, domain = self.address.rpartition("@")
        return str(Address(self.name, local, domain))


def parse_mailbox(text: str) -> Mailbox:
    """The mailbox in `ann@example.com` or `Ann <ann@example.com>`, with an international domain in ASCII.

    Raises `InvalidText`, also for text that can be read as several addresses: a value put into a template could add a
    recipient with `a@example.com, b@example.com`.
    """
    named = _WITH_NAME.fullmatch(text.strip())
    name, address = (named["name"].strip(), named["address"]) if named else ("", text.strip())
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    try:
        checked = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise InvalidText("not a mail address") from None
    return Mailbox(header_text(name)[:MAX_NAME_LENGTH], f"{checked.local_part}@{checked.ascii_domain}")


def header_text(text: str) -> str:
    """`text` with each run of white space as one space. Raises `InvalidText` for control characters.

    The decoded text is checked too: Python's header parser decodes words such as `=?utf-8?q?a=0A?=`, and Python 3.11
    writes the line break in them as it is, which ends the header.
    """
    plain = " ".join(text.split())
    if _has_controls(plain) or ("=?" in plain and _has_controls(_decoded(plain))):
        raise InvalidText("contains control characters")
    return plain


def without_repeats(boxes: Iterable[Mailbox], seen: set[str]) -> tuple[Mailbox, ...]:
    """The boxes whose address is not yet in `seen`; adds them to it. A person who is named twice gets one copy."""
    kept = []
    for box in boxes:
        key = box.address.casefold()
        if key not in seen:
            seen.add(key)
            kept.append(box)
    return tuple(kept)


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)


def _decoded(text: str) -> str:
    try:
        parts = decode_header(text)
    except HeaderParseError:
        # A control character, so that text that cannot be decoded is refused.
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
