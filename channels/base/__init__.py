"""The contract of a channel: one medium, with one operation, which is a single attempt to send a message.

A channel is one module of `channels`, named for its kind, that defines one `Channel` subclass. It never retries,
sleeps, logs or stores. It returns a `Receipt` or raises `SendFailed`, and its caller decides what happens next.
"""

from channels.base.channel import Channel, ChannelContext, RunInThread, TargetT
from channels.base.message import SENDING_FOR, ChannelUnavailable, Message, Receipt, SendFailed
from channels.base.target import (
    SECRET_PREFIX,
    Escape,
    InvalidContent,
    PreviousSecret,
    Rendered,
    SignedTarget,
    TargetModel,
    Templates,
    new_secret,
)

__all__ = [
    "SECRET_PREFIX",
    "SENDING_FOR",
    "Channel",
    "ChannelContext",
    "ChannelUnavailable",
    "Escape",
    "InvalidContent",
    "Message",
    "PreviousSecret",
    "Receipt",
    "Rendered",
    "RunInThread",
    "SendFailed",
    "SignedTarget",
    "TargetModel",
    "TargetT",
    "Templates",
    "new_secret",
]
