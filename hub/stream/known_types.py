"""Names in the `types` of a stream that no entry can have: a listener would wait for them without a word."""

from collections.abc import Iterable

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types import BUILT_IN
from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.patterns import matches
from hub.errors import Fault, Invalid
from hub.models import FeedKind

POINTER = "/query/types"
_NAMED_AT_MOST = 50
_SPACES = {name.partition(".")[0] for name in (*FeedKind, *BUILT_IN)}
"""The first segments of names that the hub has given itself."""
_LAST_SEGMENTS = {name.rpartition(".")[2] for name in FeedKind}


class KnownTypes:
    """What entries can be called: the stream's own names, built-in types, and what a tenant registered or subscribed.

    With `strict`, types that nobody registered are refused when they are published, so there are no others. Without, a
    tenant may publish what it likes; a pattern is then refused only where it begins as the hub's own names do, or is a
    part of one.

    Example:

        known = KnownTypes(event_types, catalogue, strict=False)
        known.check("default", ["order.*", "delivery.dead"])
        known.check("default", ["delivery.failed"])  # raises Invalid
    """

    def __init__(self, event_types: EventTypes, catalogue: Catalogue, *, strict: bool) -> None:
        self._event_types = event_types
        self._catalogue = catalogue
        self._strict = strict

    def check(self, tenant: str, patterns: Iterable[str]) -> None:
        """Raise `Invalid`, which names what is known, where a pattern is none of it."""
        suspect = [pattern for pattern in patterns if self._strict or _is_like_ours(pattern)]
        if not suspect:
            return
        names = [*FeedKind, *(kind.type for kind in self._event_types.listing(tenant))]
        if all(
            any(matches(pattern, name) for name in names) or self._subscribed(tenant, pattern) for pattern in suspect
        ):
            return
        shown = ", ".join(names[:_NAMED_AT_MOST])
        fault = Fault(
            f"must each match one of these names, or a type that is registered or subscribed: {shown}", POINTER
        )
        raise Invalid("A name in `types` is unknown, so nothing would ever be shown for it.", errors=[fault])

    def _subscribed(self, tenant: str, pattern: str) -> bool:
        return any(pattern in one.patterns for one in self._catalogue.subscriptions(tenant).values())


def _is_like_ours(pattern: str) -> bool:
    return pattern.partition(".")[0] in _SPACES or pattern in _LAST_SEGMENTS
