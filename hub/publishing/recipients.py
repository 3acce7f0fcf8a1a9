"""Whom the events of one request are for, and which of their deliveries are made together with them."""

from collections.abc import Sequence

from hub.catalogue.subscriptions import Subscription
from hub.ids import new_id
from hub.stores.base import Match, NewDelivery


class Recipients:
    """Of one request. Deliveries are made with it as long as there is room; events whose deliveries do not fit fan out.

    Example:

        recipients = Recipients(500)
        made, match = recipients.of(catalogue.subscribed("default", "order.created"))
        # of 300 subscriptions: 300 deliveries and None; of the next 300: none, and the match to make them from later
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._matches: dict[tuple[str, ...], Match] = {}

    def of(self, matched: Sequence[Subscription]) -> tuple[tuple[NewDelivery, ...], Match | None]:
        """The deliveries to make now of an event for these subscriptions, or its match, to make them from later."""
        if len(matched) <= self._room:
            self._room -= len(matched)
            return tuple(NewDelivery(new_id("dlv"), one.id, one.spec.channel) for one in matched), None
        ids = tuple(one.id for one in matched)
        if ids not in self._matches:
            self._matches[ids] = Match(tuple(sorted((one.id, one.spec.channel) for one in matched)))
        return (), self._matches[ids]
