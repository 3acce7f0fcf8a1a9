"""A network namespace as another machine: what runs there reaches this one over two cables, and either can be cut."""

import subprocess
from contextlib import ExitStack
from random import randrange
from secrets import token_hex
from types import TracebackType
from typing import Self


class Cable:
    """A pair of virtual interfaces; `here` and `there` are the addresses at its ends."""

    def __init__(self, namespace: int) -> None:
        name, network = f"hub{token_hex(4)}", f"10.{randrange(64, 128)}.{randrange(256)}"
        self.here, self.there = f"{network}.1", f"{network}.2"
        self._name = name
        _ip("link", "add", name, "type", "veth", "peer", "name", "there", "netns", str(namespace))
        _ip("address", "add", f"{self.here}/24", "dev", name)
        _ip("link", "set", name, "up")
        _ip("link", "set", "there", "name", f"{name}b", namespace=namespace)
        _ip("address", "add", f"{self.there}/24", "dev", f"{name}b", namespace=namespace)
        _ip("link", "set", f"{name}b", "up", namespace=namespace)

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        _ip("link", "set", self._name, "down")

    def mend(self) -> None:
        _ip("link", "set", self._name, "up")

    def remove(self) -> None:
        _ip("link", "delete", self._name)


class OtherMachine:
    """Use as a context manager. `wrapper` is the command that runs its arguments there; `to_store` is the cable to the
    store, `to_rest` the one to everything else."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # Says so once it is in a namespace of its own, and ends with its input.
            holder = stack.enter_context(
                subprocess.Popen(
                    ["unshare", "--net", "sh", "-c", "ip link set lo up && echo in && exec cat"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(holder.kill)
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"in\n"
            self.wrapper = ("nsenter", "--target", str(holder.pid), "--net")
            self.to_store = Cable(holder.pid)
            stack.callback(self.to_store.remove)
            self.to_rest = Cable(holder.pid)
            stack.callback(self.to_rest.remove)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()


def _ip(*arguments: str, namespace: int | None = None) -> None:
    within = () if namespace is None else ("nsenter", "--target", str(namespace), "--net")
    subprocess.run([*within, "ip", *arguments], check=True)
