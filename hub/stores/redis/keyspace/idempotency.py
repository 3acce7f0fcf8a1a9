"""What is kept with an idempotency key, as `lua/accept.lua` writes it."""

from collections.abc import Sequence
from hashlib import sha1

import orjson

from hub.errors import Invalid
from hub.stores.base import AcceptResult, Idempotency, ItemResult
from hub.stores.redis.keyspace.codec import pack, unpack


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
        _json(verdicts),
    )


def with_duplicates(verdicts: Sequence[ItemResult], duplicates: Sequence[int | str | bytes]) -> tuple[ItemResult, ...]:
    """The verdicts as the script decided: `duplicates` gives indexes and the first events' ids in turn."""
    if not duplicates:
        return tuple(verdicts)
    firsts = {int(index): _text(id_) for index, id_ in zip(duplicates[::2], duplicates[1::2], strict=True)}
    return tuple(ItemResult(v.index, "duplicate", firsts[v.index]) if v.index in firsts else v for v in verdicts)


def remembered(record: bytes, asked: Idempotency) -> AcceptResult:
    """The answer kept with a key; raises `Invalid` when the key came with another request then."""
    _, fingerprint, _, verdicts, duplicates = unpack(record)
    if fingerprint != asked.fingerprint:
        raise Invalid("This Idempotency-Key was used for another request; use a new one.")
    first = [ItemResult(*verdict) for verdict in orjson.loads(verdicts)]
    return AcceptResult(with_duplicates(first, duplicates or ()), replayed=True)


def fields(record: bytes) -> tuple[str, str, int, tuple[ItemResult, ...]]:
    """A record's key, fingerprint, expiry in milliseconds, and verdicts."""
    key, fingerprint, expires, verdicts, duplicates = unpack(record)
    first = [ItemResult(*verdict) for verdict in orjson.loads(verdicts)]
    return key, fingerprint, expires, with_duplicates(first, duplicates or ())


def record(key: str, fingerprint: str, expires: int, verdicts: Sequence[ItemResult]) -> bytes:
    """A record whole; `expires` is in milliseconds."""
    return pack((key, fingerprint, expires, _json(verdicts), ()))


def _json(verdicts: Sequence[ItemResult]) -> str:
    return orjson.dumps([(v.index, v.status, v.id, v.problem) for v in verdicts]).decode()


def _text(value: int | str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
