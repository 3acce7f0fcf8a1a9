"""Logging is the whole process's: what a test changes of it is put back."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from hub.telemetry.log import QUIET


@contextmanager
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    names = [None, *QUIET, "uvicorn", "uvicorn.error", "uvicorn.access"]
    before = [(log, log.level, list(log.handlers), log.propagate) for log in map(logging.getLogger, names)]
    config = structlog.get_config()
    yield
    structlog.configure(**config)
    for log, level, handlers, propagate in before:
        log.level, log.handlers, log.propagate = level, handlers, propagate
    root.manager._clear_cache()  # type: ignore[attr-defined] # internals
