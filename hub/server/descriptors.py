"""Open files: how many the process may have, and who gets them. Each connection, listener and attempt needs one."""

import resource

import structlog

from hub.settings import Settings

DESCRIPTORS = 65_536
"""The limit on open files that the hub asks for; the hard limit of the process may be lower."""
RESERVED = 128
"""For files, the store and the resolver; half of them where there are fewer than twice as many."""
_LISTENING = 0.75
"""The share of the connections that may listen; the others are for requests."""
_log = structlog.get_logger(__name__)


def raise_limit() -> int:
    """Raise the soft limit on open files, which is usually 1,024, and give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def fitted(settings: Settings, limit: int) -> tuple[Settings, int]:
    """The settings with what fits in this limit on open files, and how many connections do."""
    room = limit - min(RESERVED, limit // 2)
    in_flight = min(settings.max_in_flight, room // 2)
    connections = room - in_flight
    listeners = min(settings.stream_max_listeners, int(connections * _LISTENING))
    fitting = {"max_in_flight": in_flight, "stream_max_listeners": listeners}
    return settings.model_copy(update=fitting), connections


def report_lowered(asked: Settings, used: Settings) -> None:
    """Log what had to be lowered."""
    for name in ("max_in_flight", "stream_max_listeners"):
        before, after = getattr(asked, name), getattr(used, name)
        if after < before:
            advice = "Raise the limit on open files (LimitNOFILE=, ulimit -n)."
            _log.warning("descriptors.few", setting=f"HUB_{name.upper()}", asked=before, used=after, advice=advice)
