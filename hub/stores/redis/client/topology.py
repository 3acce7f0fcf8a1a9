"""Where the one node is that holds a hub's keys: all of them share a hash tag, so in a Cluster too it is one."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from hub.stores.redis.client.connection import connect, exchange
from hub.stores.redis.client.url import Address, Node


class Primary(ABC):
    """Finds the node that takes the hub's writes now."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @abstractmethod
    async def find(self) -> Node:
        """Raises `RedisError` or `OSError` when no node answers."""

    async def _ask_any(self, nodes: Sequence[Node], options: Mapping[str, Any], *command: str) -> tuple[Node, Any]:
        """The first node that has an answer, and the answer."""
        failure: RedisError | OSError = RedisConnectionError("no node has an answer")
        for node in nodes:
            try:
                connection = await connect(self._address, node, dict(options))
                try:
                    (answer,) = await exchange(connection, [command])
                finally:
                    await connection.disconnect(nowait=True)
            except (RedisError, OSError) as error:
                failure = error
                continue
            if answer:
                return node, answer
        raise failure


class FixedPrimary(Primary):
    async def find(self) -> Node:
        return self._address.nodes[0]


class SentinelPrimary(Primary):
    """Asks the sentinels, https://redis.io/docs/latest/develop/reference/sentinel-clients/."""

    async def find(self) -> Node:
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.service)
        _, (host, port) = await self._ask_any(self._address.nodes, self._address.sentinel_options, *command)
        return host.decode(), int(port)


class ClusterPrimary(Primary):
    """Asks any node which one has the slot of the hub's hash tag."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._slot = key_slot(f"{{{address.prefix}}}".encode())
        self._known: list[Node] = list(address.nodes)

    async def find(self) -> Node:
        asked, ranges = await self._ask_any(self._known, self._address.options, "CLUSTER", "SLOTS")
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


def primary_of(address: Address) -> Primary:
    kinds: dict[str, type[Primary]] = {"redis+sentinel": SentinelPrimary, "redis+cluster": ClusterPrimary}
    return kinds.get(address.kind, FixedPrimary)(address)
