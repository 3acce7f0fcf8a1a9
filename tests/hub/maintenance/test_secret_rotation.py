"""A new key seals everything while the hub runs, in one process and in several."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.catalogue.sealing import SealBroken, Sealer
from hub.cluster.operator_secrets import secret_keys
from hub.cluster.roles import Role
from hub.errors import Conflict
from hub.maintenance.secret_rotation import BATCH
from hub.stores import open_store
from hub.stores.base import Store
from tests.api_support import open_api, settings_for
from tests.hub.runtime.parts import Started, started, subscribe
from tests.redis_servers import RedisServer

TARGET = {"url": "https://example.com/hooks", "secret": "whsec_" + "c2VjcmV0" * 4}
HOOK: dict[str, Any] = {"channel": "webhook", "target": TARGET}
OLD, NEW = "the-old-secret-key-of-this-hub-0123456789", "the-new-secret-key-of-this-hub-0123456789"


async def nowhere(progress: float) -> None:
    """Nobody watches."""


async def sealed_with(store: Store, key: str) -> set[bool]:
    """Whether what is stored is sealed with this key."""
    records, _ = await store.records.changes(0)
    found = set()
    for record in records:
        if record.kind in {"subscription", "source"}:
            document: dict[str, Any] = orjson.loads(record.doc or b"")
            document = document.get("target", document)
            try:
                Sealer(key).sealed_with(document, tenant=record.tenant, owner=record.id)
            except SealBroken:
                found.add(False)
            else:
                found.add(True)
    return found


async def secret_of(web: Started, subscription: dict[str, Any]) -> str:
    answer = await web.client.get(f"/v1/subscriptions/{subscription['id']}/secret")
    return str(answer.raise_for_status().json()["secret"])


async def test_a_generated_key_is_replaced_by_another(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    key_file = settings.data_dir / "secret.key"
    async with open_api(settings) as api:
        made = await api.subscribe(**HOOK)
        for _ in range(BATCH):
            await api.subscribe(**HOOK)
        source = {"name": "repositories", "scheme": "github", "secret": "a secret of the sender"}
        assert (await api.admin.post("/v1/sources", json=source)).status_code == 201
        old = key_file.read_text()
        assert await api.services.rotation.rotate(nowhere) == {"sealed": BATCH + 2, "unreadable": 0}
        new = key_file.read_text()
        assert (new != old, [path.name for path in settings.data_dir.glob("secret*")]) == (True, ["secret.key"])
        later = await api.subscribe(**HOOK)
        assert await sealed_with(api.store, new.strip()) == {True}
    async with open_api(settings) as api:
        for subscription in (made, later):
            answer = await api.admin.get(f"/v1/subscriptions/{subscription['id']}/secret")
            assert answer.json() == {"secret": TARGET["secret"]}
        assert (await api.services.rotation.rotate(nowhere))["sealed"] == BATCH + 3
        assert key_file.read_text() not in {old, new}


async def test_a_key_of_the_settings_needs_its_successor(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path, secret_key=OLD)) as api:
        made = await api.subscribe(**HOOK)
        with pytest.raises(Conflict, match="HUB_PREVIOUS_SECRET_KEY"):
            await api.services.rotation.rotate(nowhere)
    async with open_api(settings_for(tmp_path, secret_key=NEW, previous_secret_key=OLD)) as api:
        await api.subscribe(**HOOK)
        assert await sealed_with(api.store, OLD) == {True}
        assert (await api.services.rotation.rotate(nowhere))["sealed"] == 2
    async with open_api(settings_for(tmp_path, secret_key=NEW)) as api:
        assert (await api.admin.get(f"/v1/subscriptions/{made['id']}/secret")).json() == {"secret": TARGET["secret"]}


async def test_a_key_that_was_given_with_a_line_break_still_opens_what_it_sealed(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path)) as api:
        # As a version stored it that took the key as it was given.
        sealer = Sealer(f"{OLD}\n")
        made = await api.subscribe(**HOOK)
        subscription = api.process.core.catalogue.subscription(made["id"])
        assert subscription is not None
        record = api.process.core.subscriptions._codec.encode(subscription)
        document = orjson.loads(record.doc or b"")
        document["target"] = sealer.seal_model(subscription.target, tenant="default", owner=made["id"])
        fingerprint = orjson.dumps({"fingerprint": sealer.sealing})
        from_before = [
            type(record)("subscription", "default", made["id"], orjson.dumps(document)),
            type(record)("secret", "", "secret_key", fingerprint),
        ]
        await api.store.records.write(from_before)
    async with open_api(settings_for(tmp_path, secret_key=f"{OLD}\n")) as api:
        assert (await api.admin.get(f"/v1/subscriptions/{made['id']}/secret")).json() == {"secret": TARGET["secret"]}
        assert (await api.services.rotation.rotate(nowhere))["sealed"] == 1
        assert await sealed_with(api.store, OLD) == {True}


async def test_processes_that_have_both_keys_rotate_together(valkey: RedisServer, tmp_path: Path) -> None:
    url = valkey.url()
    both = {"store_url": url, "secret_key": NEW, "previous_secret_key": OLD}
    async with started(settings_for(tmp_path / "a", store_url=url, secret_key=OLD), Role.WEB) as before:
        made = await subscribe(before, **HOOK)
        async with (
            started(settings_for(tmp_path / "b", **both), Role.WEB) as one,
            started(settings_for(tmp_path / "c", **both), Role.WEB, Role.WORKER) as other,
        ):
            # The process that was not restarted yet reads what those with both keys write.
            during = await subscribe(one, **HOOK)
            await before.services.subscriptions._catalogue.refresh()
            assert await secret_of(before, during) == TARGET["secret"]

            await one.services.rotation.rotate(nowhere)
            after = await subscribe(other, **HOOK)
            await one.services.subscriptions._catalogue.refresh()
            for subscription in (made, during, after):
                assert await secret_of(one, subscription) == TARGET["secret"]
                assert await secret_of(other, subscription) == TARGET["secret"]
    async with open_store(url, one.process.core.clock) as store:
        assert await sealed_with(store, NEW) == {True}


async def test_a_generated_key_that_several_processes_share_is_not_replaced(
    valkey: RedisServer, tmp_path: Path
) -> None:
    async with started(settings_for(tmp_path, store_url=valkey.url()), Role.WEB) as web:
        with pytest.raises(Conflict, match="HUB_PREVIOUS_SECRET_KEY"):
            await web.services.rotation.rotate(nowhere)
        assert len(secret_keys(web.services.settings)) == 1


async def test_rotations_at_once_take_turns_and_every_event_is_accepted_meanwhile(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with open_api(settings) as api:
        for _ in range(2 * BATCH):
            await api.subscribe(**HOOK, enabled=False)
        rotations = asyncio.gather(*(api.services.rotation.rotate(nowhere) for _ in range(3)))
        published = 0
        while not rotations.done():
            await api.publish()
            published += 1
        assert [ended["sealed"] for ended in await rotations] == [2 * BATCH] * 3
        assert published > 3
        assert await sealed_with(api.store, (settings.data_dir / "secret.key").read_text().strip()) == {True}
