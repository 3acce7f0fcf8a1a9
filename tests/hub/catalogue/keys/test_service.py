"""Keys: found by their hash alone, refused as soon as they are revoked or expired, and bound to a tenant."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys import DEFAULT_TENANT, NewKey, NewTenant
from hub.catalogue.keys.service import ADMIN_KEY_ID, Keyring, view
from hub.catalogue.subscriptions import SubscriptionCodec
from hub.errors import Conflict, Invalid, NotFound, Unauthorized
from hub.models import Record, Scope
from hub.stores.base import Store
from hub.testing.clock import ManualClock

ADMIN_KEY = "the-admin-key-of-these-tests"


@pytest.fixture
async def keyring(catalogue: Catalogue, clock: ManualClock) -> Keyring:
    keyring = Keyring(catalogue, clock, ADMIN_KEY)
    await keyring.ensure_default_tenant()
    return keyring


def new(**members: object) -> NewKey:
    return NewKey.model_validate({"name": "shop", "scopes": ["read"], **members})


async def test_the_key_that_was_issued_stands_for_its_tenant_and_scopes(keyring: Keyring) -> None:
    issued = await keyring.issue(new(scopes=["read", "manage"]))
    principal = keyring.identify(issued.key)
    assert (principal.key_id, principal.tenant, principal.is_operator) == (issued.id, DEFAULT_TENANT, False)
    assert principal.scopes == {Scope.READ, Scope.MANAGE}
    assert keyring.is_valid(principal)


async def test_the_text_of_a_key_is_nowhere_but_in_the_answer(
    keyring: Keyring, catalogue: Catalogue, store: Store
) -> None:
    issued = await keyring.issue(new())
    # The end alone: the text may have the separator anywhere.
    secret = issued.key[-40:]
    records, _ = await store.records.changes(0)
    assert all(secret.encode() not in (record.doc or b"") for record in records)
    (kept,) = keyring.listing()
    assert secret not in repr(kept)
    assert "hash" not in view(kept).model_dump()
    assert catalogue.keys[issued.id].hash not in repr(kept)


def test_the_operators_key_may_be_any_text_and_opens_everything(keyring: Keyring) -> None:
    principal = keyring.identify(ADMIN_KEY)
    assert (principal.key_id, principal.tenant, principal.is_operator) == (ADMIN_KEY_ID, DEFAULT_TENANT, True)
    assert keyring.is_valid(principal)


async def test_a_key_that_only_another_version_can_read_opens_nothing_and_can_be_revoked(
    keyring: Keyring, catalogue: Catalogue
) -> None:
    issued = await keyring.issue(new())
    odd = Record("key", DEFAULT_TENANT, issued.id, b'{"hash": 1}')
    await catalogue.change(lambda: ([odd, Record("tenant", "odd", "odd", b"{}")], []))
    with pytest.raises(Unauthorized):
        keyring.identify(issued.key)
    await keyring.revoke(issued.id)
    with pytest.raises(NotFound):
        await keyring.revoke(issued.id)
    with pytest.raises(Conflict, match="another version"):
        await keyring.create_tenant(NewTenant(id="odd", name="Odd"))


async def test_a_scope_that_only_a_newer_version_knows_gives_nothing(keyring: Keyring, catalogue: Catalogue) -> None:
    issued = await keyring.issue(new())
    doc = orjson.loads(catalogue.keys[issued.id].written())
    doc |= {"scopes": ["read", "of-a-newer-version"], "zone": "eu"}
    await catalogue.change(lambda: ([Record("key", DEFAULT_TENANT, issued.id, orjson.dumps(doc))], []))
    assert keyring.identify(issued.key).scopes == {Scope.READ}
    assert orjson.loads(catalogue.keys[issued.id].written())["zone"] == "eu"


async def test_text_that_is_no_key_is_refused(keyring: Keyring) -> None:
    key = (await keyring.issue(new())).key
    for text in ("", "hub_", key[:-1], key + "x", key.swapcase(), "x" + key, key.removeprefix("hub_"), ADMIN_KEY + " "):
        with pytest.raises(Unauthorized):
            keyring.identify(text)


async def test_a_key_is_refused_from_the_instant_at_which_it_expires(keyring: Keyring, clock: ManualClock) -> None:
    issued = await keyring.issue(new(expires_at=(clock.now() + timedelta(seconds=10)).isoformat()))
    clock.advance(9.999)
    principal = keyring.identify(issued.key)
    clock.advance(0.001)
    assert not keyring.is_valid(principal)
    with pytest.raises(Unauthorized):
        keyring.identify(issued.key)


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_after_a_refresh(
    keyring: Keyring, store: Store, codec: SubscriptionCodec, clock: ManualClock
) -> None:
    issued = await keyring.issue(new())
    catalogue = Catalogue(store.records, codec.decode)
    await catalogue.refresh()
    elsewhere = Keyring(catalogue, clock, ADMIN_KEY)
    principal = elsewhere.identify(issued.key)
    await keyring.revoke(issued.id)
    assert not keyring.is_valid(principal)
    assert elsewhere.is_valid(principal)
    await catalogue.refresh()
    assert not elsewhere.is_valid(principal)
    with pytest.raises(NotFound):
        await keyring.revoke(issued.id)


async def test_a_key_needs_a_tenant_that_is_there(keyring: Keyring) -> None:
    with pytest.raises(Invalid) as refused:
        await keyring.issue(new(tenant="acme"))
    assert [fault.pointer for fault in refused.value.errors] == ["/tenant"]
    await keyring.create_tenant(NewTenant(id="acme", name="Acme"))
    issued = await keyring.issue(new(tenant="acme"))
    assert keyring.identify(issued.key).tenant == "acme"


async def test_keys_are_listed_newest_first_and_tenants_by_id(keyring: Keyring) -> None:
    ids = [(await keyring.issue(new())).id for _ in range(3)]
    assert [key.id for key in keyring.listing()] == ids[::-1]
    for name in ("b", "a"):
        await keyring.create_tenant(NewTenant(id=name, name=name))
    assert [tenant.id for tenant in keyring.tenants()] == ["a", "b", DEFAULT_TENANT]


async def test_a_tenant_is_created_once_and_the_default_one_by_the_first_process(
    keyring: Keyring, store: Store, codec: SubscriptionCodec, clock: ManualClock
) -> None:
    with pytest.raises(Conflict):
        await keyring.create_tenant(NewTenant(id=DEFAULT_TENANT, name="another"))
    others = [Keyring(Catalogue(store.records, codec.decode), clock, ADMIN_KEY) for _ in range(3)]
    await asyncio.gather(*(other.ensure_default_tenant() for other in others))
    assert [[tenant.id for tenant in other.tenants()] for other in others] == [[DEFAULT_TENANT]] * 3
