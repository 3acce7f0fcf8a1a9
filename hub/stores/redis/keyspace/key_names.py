"""The names of the keys that Python reads; `lua/lib/key.lua` has them too, and says what each holds."""

from hashlib import sha1

from hub.models import Outcome, Status


class KeyNames:
    """A hub's keys. All begin with its prefix, a hash tag, so that they share one slot of a cluster."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        # The parts after the prefix stand on users' servers. A name of Python may change, the key's may not.
        self.clock = f"{prefix}:clock"
        self.clock_mark = f"{prefix}:clock-mark"
        self.meta = f"{prefix}:meta"
        self.feed = f"{prefix}:feed"
        self.signals = f"{prefix}:signals"
        self.due = f"{prefix}:due"
        self.schedules = f"{prefix}:schedules"
        self.fanning = f"{prefix}:fanning"
        self.tenants = f"{prefix}:tenants"
        self.changes = f"{prefix}:changes"
        self.expiring = f"{prefix}:expiring"
        self.unfinished = f"{prefix}:tasks-unfinished"
        self.ended = f"{prefix}:tasks-ended"
        self.records = f"{prefix}:records"
        self.transfer = f"{prefix}:transfer"

    def event(self, id_: str) -> str:
        return f"{self._prefix}:e:{id_}"

    def state(self, id_: str) -> str:
        return f"{self._prefix}:s:{id_}"

    def deliveries_of(self, event: str) -> str:
        return f"{self._prefix}:o:{event}"

    def delivery(self, id_: str) -> str:
        return f"{self._prefix}:d:{id_}"

    def attempts_of(self, delivery: str) -> str:
        return f"{self._prefix}:a:{delivery}"

    def match(self, name: str) -> str:
        return f"{self._prefix}:m:{name}"

    def fan_outs(self, tenant: str) -> str:
        return f"{self._prefix}:fan-outs:{tenant}"

    def events(self, tenant: str) -> str:
        return f"{self._prefix}:events:{tenant}"

    def subject(self, tenant: str, subject: str) -> str:
        return f"{self._prefix}:subject:{tenant}:{sha1(subject.encode(), usedforsecurity=False).hexdigest()}"

    def by_status(self, tenant: str, channel: str, status: Status) -> str:
        return f"{self._prefix}:status:{tenant}:{channel}:{status}"

    def by_lane(self, tenant: str, lane: str, status: Status) -> str:
        return f"{self._prefix}:lane:{tenant}:{lane}:{status}"

    def dead(self, tenant: str, channel: str) -> str:
        return f"{self._prefix}:dead:{tenant}:{channel}"

    def attempts(self, tenant: str, channel: str, outcome: Outcome) -> str:
        return f"{self._prefix}:attempts:{tenant}:{channel}:{outcome}"

    def channels(self, tenant: str) -> str:
        return f"{self._prefix}:channels:{tenant}"

    def lanes(self, tenant: str) -> str:
        return f"{self._prefix}:lanes:{tenant}"

    def task(self, id_: str) -> str:
        return f"{self._prefix}:task:{id_}"

    def tasks(self, tenant: str) -> str:
        return f"{self._prefix}:tasks:{tenant}"

    def idempotency(self, tenant: str, digest: str) -> str:
        return f"{self._prefix}:i:{tenant}:{digest}"
