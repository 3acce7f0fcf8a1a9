"""What is kept with an idempotency key, as `lua/accept.lua` writes it."""

from collections.abc import Sequence
from hashlib import sha1

from hub.stores.base import AcceptResult, Idempotency, ItemResult
from hub.stores.kept_answers import another_request, results, unreadable_answer, written
from hub.stores.redis.keyspace.codec import pack, unpack
from hub.stores.unreadable import READ_ERRORS


def digest(key: str) -> str:
    """A key as the end of its record's name. A client's key may be long, and hold any character."""
    return sha1(key.encode(), usedforsecurity=False).hexdigest()


def given(idempotency: Idempotency, verdicts: Sequence[ItemResult]) -> tuple[str, str, str, int, str]:
    """The record for the script, with the verdicts as they are if none of the events is a duplicate."""
    return (
        digest(idempotency.key),
        idempotency.key,
        idempotency.fingerprint,
        int(idempotency.seconds * 1000),
        written(verdicts),
    )


def with_duplicates(verdicts: Sequence[ItemResult], duplicates: Sequence[int | str | bytes]) -> tuple[ItemResult, ...]:
    """The verdicts as the script decided: `duplicates` gives indexes and the first events' ids in turn."""
    if not duplicates:
        return tuple(verdicts)
    firsts = {int(index): _text(id_) for index, id_ in zip(duplicates[::2], duplicates[1::2], strict=True)}
    return tuple(ItemResult(v.index, "duplicate", firsts[v.index]) if v.index in firsts else v for v in verdicts)


def remembered(record: bytes, asked: Idempotency) -> AcceptResult:
    """The answer kept with a key.

    Raises `Invalid` when the key came with another request then, and `Unavailable` when only a newer version can read
    the answer.
    """
    try:
        _, fingerprint, _, verdicts = fields(record)
    except READ_ERRORS:
        raise unreadable_answer() from None
    if fingerprint != asked.fingerprint:
        raise another_request()
    return AcceptResult(verdicts, replayed=True)


def fields(record: bytes) -> tuple[str, str, int, tuple[ItemResult, ...]]:
    """A record's key, fingerprint, expiry in milliseconds, and verdicts. Raises `READ_ERRORS`."""
    # A newer version may have added members at the end.
    key, fingerprint, expires, verdicts, duplicates, *_ = unpack(record)
    return key, fingerprint, expires, with_duplicates(results(verdicts), duplicates or ())


def record(key: str, fingerprint: str, expires: int, verdicts: Sequence[ItemResult]) -> bytes:
    """A record whole; `expires` is in milliseconds."""
    return pack((key, fingerprint, expires, written(verdicts), ()))


def _text(value: int | str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
