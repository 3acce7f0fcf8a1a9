"""One medium, with one operation, which is a single attempt to send a message."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, TypeVarTuple, Unpack

import httpx

from channels.base.message import Message, Receipt
from channels.base.target import Escape, TargetModel, Templates

TargetT = TypeVar("TargetT", bound=TargetModel)
Args = TypeVarTuple("Args")
T = TypeVar("T")


class RunInThread(Protocol):
    """Calls a function in a thread, and gives what it returns or raises."""

    async def __call__(self, function: Callable[[Unpack[Args]], T], /, *args: *Args) -> T: ...


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a channel is constructed with.

    Example:

        from channels.file import FileChannel
        from channels.http import open_client

        async with open_client() as http:
            channel = FileChannel(ChannelContext(http, Path("var"), {"file_keep": "3"}))
            await channel.aclose()
    """

    http: httpx.AsyncClient
    """The client that all channels share. It refuses private addresses, limits the size of answers, and follows no
    redirects; see docs/decisions/0002."""
    data_dir: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """The operator's settings, by lower-case name without `HUB_`: `{"smtp_url": "smtp://…"}`."""
    run_in_thread: RunInThread = asyncio.to_thread
    """For calls that block, in threads for channels alone: `await run_in_thread(os.listdir, path)`. There are 32, so a
    channel makes one call at a time for each target."""


class Channel(ABC, Generic[TargetT]):
    """One medium.

    Each process makes one instance of each channel, uses it for all subscriptions at once, and closes it when it ends.

    Example:

        from channels.http import HttpUrl, deliver, receipt

        class MatrixTarget(TargetModel):
            url: HttpUrl

        class MatrixChannel(Channel[MatrixTarget]):
            kind = "matrix"
            Target = MatrixTarget
            default_template = {"text": "{{ type }}: {{ subject }}"}

            async def send(self, message: Message, target: MatrixTarget) -> Receipt:
                request = httpx.Request("POST", target.url, json={"body": message.content["text"]})
                return receipt(await deliver(self.context.http, request), message.sent_at)
    """

    kind: ClassVar[str]
    """The name of the channel's module, or of its entry point."""
    Target: ClassVar[type[TargetModel]]
    default_template: ClassVar[Mapping[str, Any]] = {}
    """The template fields, with the Liquid sources for events that have no built-in template. Each string inside nested
    lists and objects is a template. A subscription may override each of these fields, and no others."""
    escapes: ClassVar[Mapping[str, Escape]] = {}
    """How values are escaped when they are put into a template field. Values in other fields are not escaped."""
    made_from: ClassVar[Mapping[str, str]] = {}
    """Fields that the channel can make from another one, or leave out for it. Where a subscription's template gives the
    other field and not this one, this one is not rendered, because its default belongs to another message."""
    rate_per_second: ClassVar[float | None] = None
    """The rate for subscriptions that set none; None means no limit."""
    operator_only: ClassVar[bool] = False
    """Whether only keys with the scope `admin` may subscribe."""
    option_names: ClassVar[frozenset[str]] = frozenset()
    """The operator's settings that it reads from `context.options`. Those that nothing reads are reported as
    misspelt."""

    def __init__(self, context: ChannelContext) -> None:
        self.context = context

    @classmethod
    def templates_for(cls, target: TargetT) -> Templates | None:
        """The templates of messages to this target, by default the same for all; None when nothing is rendered. See
        docs/decisions/0023."""
        return Templates(cls.kind, cls.escapes) if cls.default_template else None

    @classmethod
    def check_content(cls, content: Mapping[str, Any], target: TargetT) -> None:
        """Raises `InvalidContent` when the rendered template fields cannot be sent."""

    def unavailable(self, target: TargetT) -> str | None:
        """Why nothing can be sent to the target with the operator's settings, naming the setting; None when it can.

        Asked often, so it looks only at what is in memory. While it gives a reason, deliveries are held with it, and
        `send` is not called.
        """
        return None

    def host(self, target: TargetT) -> str:
        """What the messages to this target depend on together with those to others: the host of its URL, or a provider.

        While it hangs, it holds back no target of another host; see docs/decisions/0029. It may be written to logs.
        """
        return self.kind

    @abstractmethod
    async def send(self, message: Message, target: TargetT) -> Receipt:
        """Make one attempt. Raises `SendFailed`, also as `ChannelUnavailable`; any other exception counts as a failure
        that may be retried."""

    async def check(self, target: TargetT | None) -> None:
        """Ask whether the operator's settings, or with a target its credentials, would be accepted; send nothing.

        For `hub doctor`. Raises `SendFailed`.
        """

    async def aclose(self) -> None:
        """Close what the channel keeps open."""
