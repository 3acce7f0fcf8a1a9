"""Slack's Block Kit: messages within its limits (https://docs.slack.dev/reference/block-kit)."""

from channels.block_kit.cutting import cut
from channels.block_kit.limits import MAX_BLOCKS, fitted_blocks

__all__ = ["MAX_BLOCKS", "cut", "fitted_blocks"]
