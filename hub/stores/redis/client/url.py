"""The URLs of a Redis store, read and checked; what is wrong is said without repeating what may be secret.

- `redis://[user:password@]host[:port][/db]`, `rediss://…` over TLS
- `redis+sentinel://[user:password@]host[:port],host[:port]/service[/db]`
- `redis+cluster://[user:password@]host[:port],host[:port]`

Options follow as a query: `prefix` (what all keys begin with, `hub`), `ssl_ca_certs`, `ssl_ca_path`, `ssl_certfile`,
`ssl_keyfile`, `ssl_password`, `ssl_check_hostname`, for Sentinel and Cluster `ssl=true`, for Sentinel the sentinels'
own `sentinel_username` and `sentinel_password`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from hub.errors import HubError

Node = tuple[str, int]
"""A host and a port."""
Kind = Literal["redis", "rediss", "redis+sentinel", "redis+cluster"]

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is. `options` are the arguments of its connections: user, password, database, TLS."""

    kind: Kind
    nodes: tuple[Node, ...]
    prefix: str = "hub"
    service: str = ""
    tls: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sentinel_options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_address(url: str) -> Address:
    """The address in a URL, whose scheme is a `Kind`. Raises `HubError` for one that cannot be."""
    name, _, rest = url.partition("://")
    scheme = cast("Kind", name)
    try:
        parts = urlsplit("//" + rest)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        identity, _, hosts = parts.netloc.rpartition("@")
        port = _SENTINEL_PORT if scheme == "redis+sentinel" else _PORT
        nodes = tuple(_node(host, port) for host in hosts.split(","))
    except ValueError:
        raise _wrong("this is not a URL") from None
    if len(nodes) > 1 and scheme in {"redis", "rediss"}:
        raise _wrong("several hosts need redis+sentinel:// or redis+cluster://")
    service, database = _path(scheme, parts.path)
    own, sentinel = _options(scheme, query)
    tls = scheme == "rediss" or bool(own.pop("ssl", False))
    if not tls and any(name.startswith("ssl_") for name in own):
        raise _wrong("options of TLS need rediss://, or ssl=true")
    prefix = own.pop("prefix", "hub")
    options = {**_identity(identity), **({"db": database} if database else {}), **own}
    return Address(scheme, nodes, prefix, service, tls, options, sentinel)


def _node(text: str, port: int) -> Node:
    parts = urlsplit("//" + text)
    if not parts.hostname:
        raise ValueError
    return unquote(parts.hostname), parts.port or port


def _identity(text: str) -> dict[str, str]:
    username, separator, password = text.partition(":")
    if not separator:
        # As other clients do: a single word before the @ is a user name.
        return {"username": unquote(username)} if username else {}
    return {"password": unquote(password)} | ({"username": unquote(username)} if username else {})


def _path(scheme: Kind, path: str) -> tuple[str, int]:
    """The Sentinel's name for the service, and the number of the database."""
    pieces = [unquote(piece) for piece in path.split("/")[1:] if piece]
    service = ""
    if scheme == "redis+sentinel":
        if not pieces:
            raise _wrong("the name of the service must follow the hosts: redis+sentinel://host:26379/service")
        service = pieces.pop(0)
    if scheme == "redis+cluster" and pieces not in ([], ["0"]):
        raise _wrong("a Cluster has no numbered databases; use ?prefix=… to keep hubs apart")
    if len(pieces) > 1 or not all(piece.isascii() and piece.isdigit() for piece in pieces):
        raise _wrong("the path is the number of the database, such as /0")
    return service, int(pieces[0]) if pieces else 0


def _options(scheme: Kind, query: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the server's connections, and those of the sentinels'."""
    own: dict[str, Any] = {}
    sentinel: dict[str, Any] = {}
    for name, value in query.items():
        if name in {"sentinel_username", "sentinel_password"} and scheme == "redis+sentinel":
            sentinel[name.removeprefix("sentinel_")] = value
        elif name == "ssl" and scheme in {"redis", "rediss"}:
            raise _wrong("for TLS its scheme is rediss://")
        elif name in _OPTIONS:
            own[name] = _OPTIONS[name](value)
        else:
            raise _wrong(f"it does not have the option {name[:40]!r}")
    return own, sentinel


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise _wrong("prefix takes 1 to 64 letters, digits and . _ -")
    return value


def _boolean(value: str) -> bool:
    if value.lower() not in {"true", "false", "1", "0", "yes", "no"}:
        raise _wrong("an option that is on or off takes true or false")
    return value.lower() in {"true", "1", "yes"}


def _wrong(why: str) -> HubError:
    return HubError(f"The address of a Redis store is redis://[user:password@]host:6379/0?prefix=hub; {why}.")


_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "prefix": _prefix,
    "ssl": _boolean,
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_check_hostname": _boolean,
}
