"""What the client library and the server say, as errors of the hub."""

from ssl import SSLCertVerificationError
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from hub.errors import HubError, Unavailable


class Refused(Unavailable):
    """The server carried out nothing of the call, for a reason that passes by itself. It may be made again."""


class Lost(Unavailable):
    """The answer to a call did not come. The server carried out all of it or nothing."""


class Denied(Unavailable):
    """The user of the store's URL may not run the command, or not on this key."""


_AWAY: Final = (
    "The Redis server cannot be reached; see whether it runs where HUB_STORE_URL says. A running hub connects again by"
    " itself."
)
_UNTRUSTED: Final = "The Redis server's certificate is not trusted; name its authority in its URL (ssl_ca_certs)."
_PASSING: Final = {
    "LOADING": "The Redis server is still loading its data; try again soon.",
    "BUSY": "The Redis server is busy with a script; try again soon.",
    "CLUSTERDOWN": "The Redis Cluster has no working node for the hub's slot; see CLUSTER INFO.",
    "MASTERDOWN": "The Redis server is a replica without a primary; see INFO replication.",
    "TRYAGAIN": "The Redis Cluster is moving the hub's slot; try again soon.",
}
_LASTING: Final = {
    "OOM": "The Redis server has reached its maxmemory; give it more, or let the hub keep less (retention).",
    "MISCONF": "The Redis server cannot save to its disk and takes no writes; see its log, free disk space.",
    "NOREPLICAS": "The Redis server has too few replicas in touch (min-replicas-to-write) and takes no writes.",
    "NOPERM": "The Redis user may not do what the hub needs; give it +@all on its prefix.",
}


def translate(error: RedisError | OSError) -> HubError:
    """What a call failed with; `Refused` or `Lost` where it may succeed when it is made again."""
    if isinstance(error, ReadOnlyError | MovedError):
        return Refused("The Redis server is not the primary any more; looking for the new one.", retry_after=1.0)
    # The slot is being moved, and part of its keys is on the other node: neither could run the script.
    if isinstance(error, AskError | TryAgainError):
        return Refused(_PASSING["TRYAGAIN"], retry_after=1.0)
    if isinstance(error, BusyLoadingError):
        return Refused(_PASSING["LOADING"], retry_after=1.0)
    if isinstance(error, MasterDownError):
        return Refused(_PASSING["MASTERDOWN"], retry_after=1.0)
    if isinstance(error, ClusterDownError):
        return Refused(_PASSING["CLUSTERDOWN"], retry_after=1.0)
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError):
        return Unavailable("The Redis server does not take the user name and password of the store's URL.")
    if isinstance(error, OutOfMemoryError):
        return Unavailable(_LASTING["OOM"], retry_after=5.0)
    if isinstance(error, NoPermissionError):
        return Denied(_LASTING["NOPERM"], retry_after=5.0)
    if isinstance(error, ResponseError):
        return _by_word(str(error))
    if _is_untrusted(error):
        return Unavailable(_UNTRUSTED, retry_after=5.0)
    return Lost(_AWAY, retry_after=1.0)


def _is_untrusted(error: BaseException | None) -> bool:
    # An error that several tasks raise may lead back to itself, by cause and context in turn.
    met: set[int] = set()
    while error is not None and id(error) not in met:
        if isinstance(error, SSLCertVerificationError):
            return True
        met.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _by_word(text: str) -> HubError:
    """An error reply by its first word, where the library has no class for it."""
    word = text.partition(" ")[0]
    if word in _PASSING:
        return Refused(_PASSING[word], retry_after=1.0)
    if word in _LASTING:
        return Unavailable(_LASTING[word], retry_after=5.0)
    for known, detail in _LASTING.items():
        # An error inside a script is wrapped into words of the script's own.
        if f"-{known}" in text or f"{known} " in text:
            return Unavailable(detail, retry_after=5.0)
    return HubError(f"The Redis server did not understand the hub: {text[:300]}")
