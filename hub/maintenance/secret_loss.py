"""The way out when the key that seals stored secrets is lost: the hub starts, and what it cannot read waits."""

import orjson

from hub.catalogue.sealing import SealBroken, Sealer, fingerprint
from hub.clock import Clock
from hub.cluster.lease import PROCESSES
from hub.cluster.operator_secrets import SEALING_KEY, secret_keys
from hub.errors import Conflict
from hub.models import Record
from hub.settings import Settings
from hub.stores import open_store
from hub.stores.unreadable import READ_ERRORS

_RUNS = (
    "A hub runs on this store, and so has its key. Stop every process of it only where the key is lost all the same."
)


async def adopt(settings: Settings, clock: Clock) -> tuple[int, int]:
    """Make the key of these settings, or a new one, that of the store, whatever its secrets are sealed with.

    Gives how many subscriptions and sources there are, and how many of them have secrets that this key cannot decrypt;
    deliveries are held, and signed requests refused, until the secrets are set again. Raises `HubError`, also while a
    hub runs.
    """
    secrets = secret_keys(settings)
    sealer = Sealer(*secrets)
    async with open_store(settings.store_url, clock) as store:
        if await store.leases.held_under(PROCESSES):
            raise Conflict(_RUNS)
        records, version = await store.records.changes(0)
        sealed = [record for record in records if record.kind in {"subscription", "source"} and record.doc]
        present = orjson.dumps({"fingerprint": fingerprint(secrets[0])})
        await store.records.write([Record("secret", "", SEALING_KEY, present)], expected=version)
    return len(sealed), sum(not _readable(sealer, record) for record in sealed)


def _readable(sealer: Sealer, record: Record) -> bool:
    try:
        document = orjson.loads(record.doc or b"{}")
        document = document["target"] if record.kind == "subscription" else document
        sealer.sealed_with(document, tenant=record.tenant, owner=record.id)
    except SealBroken:
        return False
    except READ_ERRORS:
        # Its secrets are not lost: another version of the hub made it, and can read it.
        return True
    return True
