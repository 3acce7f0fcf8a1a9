"""Senders that sign their requests instead of sending a key."""

from hub.catalogue.sources.model import Source, SourceSpec, SourceView

__all__ = ["Source", "SourceSpec", "SourceView"]
