"""A process hears of work through one notifier, whoever wrote it."""

from hub.cluster.notifier import Notifier
from hub.stores.base import Signal


def test_every_subscriber_hears_of_a_signal_before_notify_returns() -> None:
    notifier, first, second = Notifier(), list[Signal](), list[Signal]()
    notifier.subscribe(first.append)
    notifier.subscribe(second.append)
    signal = Signal({"sub_1": None}, fans_out=True)
    notifier.notify(signal)
    assert first == second == [signal]


def test_a_process_where_nobody_subscribed_lets_a_signal_pass() -> None:
    notifier = Notifier()
    assert not notifier.has_subscribers
    notifier.notify(Signal({"sub_1": None}))
