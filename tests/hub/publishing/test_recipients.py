"""Of one request, as many deliveries are made inline as there is room for; the rest is kept as matches."""

from hub.catalogue.subscriptions import Subscription
from hub.publishing.recipients import Recipients
from hub.stores.base import Store
from hub.testing.clock import ManualClock
from tests.hub.dispatch.parts import Parts, make_parts


async def test_events_that_do_not_fit_share_a_match_and_later_ones_that_fit_are_made_inline(
    store: Store, clock: ManualClock
) -> None:
    parts = make_parts(store, clock)
    ids = [(await parts.subscribe()).id for _ in range(3)]
    three = [_known(parts, id_) for id_ in reversed(ids)]
    recipients = Recipients(4)
    made, match = recipients.of(three)
    assert [new.subscription_id for new in made] == [one.id for one in three]
    assert match is None
    made, second = recipients.of(three)
    assert made == ()
    assert second is not None
    assert second.recipients == tuple((id_, "scripted") for id_ in sorted(ids))
    assert recipients.of(three) == ((), second)
    made, match = recipients.of(three[:1])
    assert (len(made), match) == (1, None)
    made, other = recipients.of(three[:1])
    assert (made, other is second) == ((), False)


def _known(parts: Parts, id_: str) -> Subscription:
    subscription = parts.catalogue.subscription(id_)
    assert subscription is not None
    return subscription
