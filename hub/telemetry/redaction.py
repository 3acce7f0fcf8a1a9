"""Removes secrets from what is logged, by the names of members and by the form of values."""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from structlog.typing import EventDict, WrappedLogger

from hub.instants import instant_text

REDACTED = "[redacted]"
MAX_DEPTH = 6

_SECRET_WORDS = frozenset({
    "authorization", "cookie", "credential", "credentials", "key", "keys", "passphrase", "passwd", "password", "pwd",
    "secret", "secrets", "signature", "token", "tokens",
})  # fmt: skip
_HARMLESS = frozenset({"ordering_key"})
_SUSPECT = re.compile(r"://|@|whs[ek]|xox|xapp-|hub_|[Bb]earer|[Bb]asic|BEARER|BASIC")
_RULES = (
    # Mail addresses of people, of which the domain stays: it is what an operator needs to know.
    (re.compile(r"(?<![\w.+-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?=[\w-]+\.|localhost\b)"), f"{REDACTED}@"),
    # A URL's user information, query and fragment, and those parts of its path that are long enough to be a token.
    (re.compile(r"(?<=://)[^/\s\"']*@"), f"{REDACTED}@"),
    (re.compile(r"(://[^\s?#\"'<>]+)[?#][^\s\"'<>]+"), rf"\1?{REDACTED}"),
    (re.compile(r"(?<=hooks\.slack\.com/)[^\s\"'<>?]+"), REDACTED),
    (re.compile(r"(://[^\s\"'<>?]*?)/[^/\s?\"'<>]{24,}"), rf"\1/{REDACTED}"),
    # Standard Webhooks secrets and private keys, Slack tokens, the hub's own keys, and credentials of RFC 9110, 11.4.
    (re.compile(r"\bwhs(?:ec|k)_[A-Za-z0-9+/=_-]+"), REDACTED),
    (re.compile(r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]+"), REDACTED),
    (re.compile(r"\bhub_[A-Za-z0-9_-]{24,}"), REDACTED),
    (re.compile(r"\b((?i:bearer|basic))\s+(?=\S*[0-9A-Z=])[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {REDACTED}"),
)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: the same line without secrets, as plain JSON values."""
    for name, value in event.items():
        event[name] = clean(value, name)
    return event


def clean(value: Any, name: str = "", depth: int = 0) -> Any:
    """A value as plain JSON without secrets, given the name of the member that holds it.

    Numbers are never secrets: a fencing token stays.
    """
    if value is None or isinstance(value, int | float):
        return value
    if name and _is_secret(name):
        return REDACTED
    if isinstance(value, str):
        # Of a member of an enumeration, a terminal would show the class too.
        return _clean_text(str(value))
    if isinstance(value, datetime):
        return instant_text(value)
    if depth >= MAX_DEPTH:
        return REDACTED
    if isinstance(value, dict):
        return {str(key): clean(item, str(key), depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item, "", depth + 1) for item in value]
    return _clean_text(repr(value))


@lru_cache(maxsize=1_000)
def _is_secret(name: str) -> bool:
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    return words[-1] in _SECRET_WORDS and name not in _HARMLESS


def _clean_text(text: str) -> str:
    if _SUSPECT.search(text):
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
    return text
