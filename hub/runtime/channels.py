"""The channels of a process, with the operator's settings."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from channels.base import Channel, ChannelContext, RunInThread
from channels.discovery import load_channels
from channels.http import open_client
from hub.dispatch.channel_checks import ChannelCheck, check_channels
from hub.errors import HubError
from hub.settings import Settings, unknown_settings

_log = structlog.get_logger(__name__)


async def open_channels(
    stack: AsyncExitStack, settings: Settings, run_in_thread: RunInThread = asyncio.to_thread
) -> Mapping[str, Channel[Any]]:
    """One instance of each installed channel, all on one HTTP client; the stack closes them. Raises `HubError`."""
    http = await stack.enter_async_context(open_client(settings.allow_private_targets))
    context = ChannelContext(http, settings.data_dir, settings.channel_options, run_in_thread)
    try:
        channels = {kind: channel(context) for kind, channel in load_channels().items()}
    except (ValueError, RuntimeError) as wrong:
        raise HubError(f"A channel cannot be set up: {wrong}") from wrong
    for channel in channels.values():
        stack.push_async_callback(channel.aclose)
    return channels


def report_unknown(channels: Mapping[str, Channel[Any]]) -> None:
    """Log the settings that neither the hub nor a channel reads."""
    for name, meant in unknown_settings(name for channel in channels.values() for name in channel.option_names):
        _log.warning("setting.unknown", name=name, did_you_mean=meant)


async def check_settings(settings: Settings) -> Sequence[ChannelCheck]:
    """What is wrong with the settings of channels, for when no hub runs that could be asked. Raises `HubError`."""
    async with AsyncExitStack() as stack:
        return await check_channels(await open_channels(stack, settings), None)
