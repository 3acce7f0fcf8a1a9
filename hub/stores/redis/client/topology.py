"""Where the one node is that holds a hub's keys: all of them share a hash tag, so in a Cluster too it is one."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError

from hub.stores.redis.client.connection import Argument, connect, exchange
from hub.stores.redis.client.url import Address, Node

T = TypeVar("T")


class Primary(ABC):
    """Finds the node that takes the hub's writes now."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @abstractmethod
    async def find(self) -> Node:
        """Raises `RedisError` or `OSError` when no node answers."""

    async def _ask(self, node: Node, options: Mapping[str, Any], *command: Argument) -> Any:
        connection = await connect(self._address, node, dict(options))
        try:
            (answer,) = await exchange(connection, [command])
        finally:
            await connection.disconnect(nowait=True)
        return answer


async def _first(nodes: Sequence[Node], answer: Callable[[Node], Awaitable[T | None]]) -> T:
    """The first answer that one of the nodes has. Raises the last `RedisError` or `OSError` when none has one."""
    failure: RedisError | OSError = RedisConnectionError("no node has an answer")
    for node in nodes:
        try:
            if (found := await answer(node)) is not None:
                return found
        except (RedisError, OSError) as error:
            failure = error
    raise failure


class FixedPrimary(Primary):
    async def find(self) -> Node:
        return self._address.nodes[0]


class SentinelPrimary(Primary):
    """Asks the sentinels, https://redis.io/docs/latest/develop/reference/sentinel-clients/."""

    async def find(self) -> Node:
        return await _first(self._address.nodes, self._named_by)

    async def _named_by(self, sentinel: Node) -> Node | None:
        """The primary that a sentinel names. Raises `ReadOnlyError` when that node is a replica by now."""
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        named = await self._ask(sentinel, self._address.sentinel_options, *command)
        if not named:
            return None
        node = (named[0].decode(), int(named[1]))
        # A sentinel that was cut off from the others during a failover names the old primary until it hears of it.
        if await self._is_replica(node):
            raise ReadOnlyError("the sentinel names a node that is a replica")
        return node

    async def _is_replica(self, node: Node) -> bool:
        try:
            return b"role:slave" in (await self._ask(node, self._address.options, "INFO", "replication"))
        except NoPermissionError:
            # Then the server check says so, and a replica refuses the first write.
            return False


class ClusterPrimary(Primary):
    """Asks any node which one has the slot of the hub's hash tag."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._slot = key_slot(f"{{{address.prefix}}}".encode())
        self._known: list[Node] = list(address.nodes)

    async def find(self) -> Node:
        asked, ranges = await _first(self._known, self._slots)
        found: Node | None = None
        nodes = [asked]
        for first, last, *members in ranges:
            # A node that does not know its own address leaves the host empty: it is the one that was asked.
            at = [((member[0] or b"").decode() or asked[0], int(member[1])) for member in members]
            nodes += at
            if first <= self._slot <= last:
                found = at[0]
        # Nodes that joined since may be all that is left later; those of the URL are the way back in.
        self._known = list(dict.fromkeys([*nodes, *self._address.nodes]))
        if found is None:
            raise RedisConnectionError("no node has the slot of the hub")
        return found

    async def _slots(self, node: Node) -> tuple[Node, Any] | None:
        ranges = await self._ask(node, self._address.options, "CLUSTER", "SLOTS")
        return (node, ranges) if ranges else None


def primary_of(address: Address) -> Primary:
    kinds: dict[str, type[Primary]] = {"redis+sentinel": SentinelPrimary, "redis+cluster": ClusterPrimary}
    return kinds.get(address.kind, FixedPrimary)(address)
