"""The one place through which a process learns that there is work. See docs/decisions/0014."""

from hub.stores.base import Notify, Signal


class Notifier:
    """Passes on what this process wrote, and what others signalled, to the parts of this process that act on it.

    A service that has written something calls `notify`; routes never do. Other processes hear of it from the store.

    Example:

        notifier = Notifier()
        notifier.subscribe(print)  # in a hub: worker.on_signal
        notifier.notify(Signal({"sub_019ab3c1": None}))
    """

    def __init__(self) -> None:
        self._subscribers: list[Notify] = []

    @property
    def has_subscribers(self) -> bool:
        """Whether anything in this process acts on signals; without a worker nothing does."""
        return bool(self._subscribers)

    def subscribe(self, on_signal: Notify) -> None:
        """Call `on_signal` with every signal from now on. It must return at once, as `notify` is called by requests."""
        self._subscribers.append(on_signal)

    def notify(self, signal: Signal) -> None:
        """Tell all subscribers, before this returns."""
        for on_signal in self._subscribers:
            on_signal(signal)
