"""Rotation of the key that stored secrets are sealed with, while the hub runs; see docs/decisions/0025."""

import asyncio
from collections.abc import Mapping
from functools import partial

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import Sealer, fingerprint
from hub.catalogue.sources.service import Sources
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.catalogue.subscriptions.unreadable import UnreadableTarget
from hub.cluster.operator_secrets import SEALING_KEY, draft_file, first_fingerprint, kept_secret, secret_keys
from hub.errors import Conflict
from hub.failpoints import Failpoint
from hub.models import FeedEntry, Record
from hub.settings import Settings
from hub.tasks import Progress

BATCH = 50
"""Subscriptions and sources that are written as one."""
PAUSE_SECONDS = 0.05
_NOTHING_NEWER = (
    "There is no newer key to rotate to. Give every process HUB_SECRET_KEY with the new key and HUB_PREVIOUS_SECRET_KEY"
    " with the present one, restart them one at a time, and rotate then."
)


class SecretRotation:
    """Seals every stored secret with the newest key, in any process that has both keys.

    The store names the key that all processes seal with, so it changes for all of them at once. What is left is known
    from the records themselves: after a crash, `resume` goes on.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        codec: SubscriptionCodec,
        sources: Sources,
        sealer: Sealer,
        failpoint: Failpoint,
        *,
        alone: bool,
    ) -> None:
        """With `alone` no other process uses the store, so that a generated key can be replaced by another one."""
        self._settings = settings
        self._catalogue = catalogue
        self._codec = codec
        self._sources = sources
        self._sealer = sealer
        self._failpoint = failpoint
        self._alone = alone
        self._turn = asyncio.Lock()

    async def rotate(self, progress: Progress) -> Mapping[str, int]:
        """Begin to seal with the newest key, and seal everything with it. Gives how many subscriptions and sources
        were sealed again, and how many cannot be read with any key.

        Raises `Conflict` where there is no newer key.
        """
        async with self._turn:
            newest = secret_keys(self._settings)[0]
            if fingerprint(newest) == self._sealer.sealing and not self._stale():
                newest = self._generated()
            self._sealer.add(newest)
            await first_fingerprint(self._catalogue, SEALING_KEY, newest, replace=True)
            self._failpoint("after_key_change")
            return await self._seal(progress)

    async def resume(self) -> None:
        """Seal with the present key what is sealed with another one, and then forget the other where it was
        generated."""
        async with self._turn:
            await self._seal(None)

    async def _seal(self, progress: Progress | None) -> Mapping[str, int]:
        total, sealed = len(self._stale()), 0
        while batch := self._stale()[:BATCH]:
            await self._catalogue.change(partial(self._sealed_again, batch))
            sealed += len(batch)
            self._failpoint("after_sealing")
            if progress is not None:
                await progress(100 * sealed / total)
            # A publish starts again when the catalogue has changed meanwhile, and must come to its end now and then.
            await asyncio.sleep(PAUSE_SECONDS)
        draft = draft_file(self._settings)
        if draft.exists() and fingerprint(kept_secret(None, draft)) == self._sealer.sealing:
            # One rename: there is always a file with the key that the secrets are sealed with.
            draft.replace(self._settings.data_dir / "secret.key")
        unreadable = sum(isinstance(one.target, UnreadableTarget) for one in self._catalogue.every_subscription())
        return {"sealed": sealed, "unreadable": unreadable + self._sources.unreadable()}

    def _generated(self) -> str:
        if not self._alone or self._settings.secret_key is not None:
            raise Conflict(_NOTHING_NEWER)
        return kept_secret(None, draft_file(self._settings))

    def _stale(self) -> list[str]:
        present = {self._sealer.sealing}
        subscriptions = [one.id for one in self._catalogue.every_subscription() if one.sealed_with - present]
        return subscriptions + self._sources.sealed_otherwise(self._sealer.sealing)

    def _sealed_again(self, ids: list[str]) -> tuple[list[Record], list[FeedEntry]]:
        # Some may have been deleted meanwhile.
        subscriptions = (self._catalogue.subscription(id_) for id_ in ids)
        sealed = [self._codec.encode(one) for one in subscriptions if one is not None]
        return [*sealed, *self._sources.sealed_again(ids)], []
