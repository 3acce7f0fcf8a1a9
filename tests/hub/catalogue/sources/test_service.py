"""Sources are made, patched, rotated and deleted; their secrets are kept sealed and shown masked."""

import hmac
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import Sealer
from hub.catalogue.sources import Source, SourceSpec
from hub.catalogue.sources.service import Sources
from hub.errors import Conflict, Invalid, NotFound, Unauthorized, Unavailable
from hub.models import Record
from hub.stores.base import Store
from hub.testing.clock import START, ManualClock

SECRET = "It's a Secret to Everybody"
OTHER = "another secret of the same sender"


@pytest.fixture
def sealer() -> Sealer:
    return Sealer("a secret of these tests")


@pytest.fixture
def sources(catalogue: Catalogue, sealer: Sealer, clock: ManualClock) -> Sources:
    return Sources(catalogue, sealer, clock)


async def create(sources: Sources, tenant: str = "acme", **members: Any) -> Source:
    spec = {"name": "ours", "scheme": "github", "secret": SECRET, **members}
    return await sources.create(tenant, SourceSpec.model_validate(spec))


async def test_what_was_created_is_found_by_its_tenant_alone(sources: Sources) -> None:
    ids = [(await create(sources)).id for _ in range(3)]
    assert [found.id for found in sources.listing("acme")] == ids[::-1]
    assert sources.find("acme", ids[0]).document.secret.get_secret_value() == SECRET
    assert sources.listing("other") == []
    with pytest.raises(NotFound):
        sources.find("other", ids[0])


async def test_secrets_are_sealed_in_the_store_and_masked_in_the_view(
    sources: Sources, store: Store, clock: ManualClock
) -> None:
    made = await create(sources)
    await sources.rotate("acme", made.id, SecretStr(OTHER), timedelta(days=1))
    records, _ = await store.records.changes(0)
    (kept,) = [record.doc for record in records if record.kind == "source"]
    assert kept is not None
    found = sources.find("acme", made.id)
    assert found.secrets(clock.now()) == [OTHER, SECRET]
    shown = found.view().model_dump_json()
    for secret in (SECRET, OTHER):
        assert secret.encode() not in kept
        assert secret not in shown + repr(found)
    assert orjson.loads(shown)["secret"].startswith("********")


async def test_the_old_secret_is_good_until_its_grace_ends(sources: Sources, clock: ManualClock) -> None:
    made = await create(sources)
    for number in range(7):
        await sources.rotate("acme", made.id, SecretStr(f"secret number {number}"), timedelta(seconds=60))
    found = sources.find("acme", made.id)
    assert found.secrets(clock.now()) == [f"secret number {number}" for number in (6, 5, 4, 3, 2)]
    clock.advance(60)
    assert found.secrets(clock.now()) == ["secret number 6"]
    await sources.rotate("acme", made.id, SecretStr(SECRET), timedelta(0))
    assert sources.find("acme", made.id).document.previous_secrets == ()


async def test_a_patch_replaces_what_it_names_and_keeps_a_secret_that_came_back_masked(
    sources: Sources, clock: ManualClock
) -> None:
    made = await create(sources, scheme="hmac", options={"header": "X-One", "prefix": "v1="}, type_prefix="shop")
    clock.advance(1)
    patch = {"name": "renamed", "options": {"header": "X-Two"}, "type_prefix": None, "secret": made.view().secret}
    patched = await sources.patch("acme", made.id, patch)
    view = patched.view()
    assert (view.name, view.options, view.type_prefix) == ("renamed", {"header": "X-Two"}, "hmac")
    assert patched.secrets(clock.now()) == [SECRET]
    assert (view.created_at, view.updated_at) == (made.view().created_at, clock.now())
    await sources.patch("acme", made.id, {"secret": OTHER})
    assert sources.find("acme", made.id).secrets(clock.now()) == [OTHER]
    moved = await sources.patch("acme", made.id, {"scheme": "github"})
    assert moved.document.options == {}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"scheme": "carrier-pigeon"}, "/scheme"),
        ({"options": {"header": "X"}}, "/options/header"),
        ({"scheme": "hmac"}, "/options/header"),
        ({"scheme": "hmac", "options": {"header": "X Y"}}, "/options/header"),
        ({"scheme": "stripe", "options": {"tolerance_seconds": 0}}, "/options/tolerance_seconds"),
        ({"scheme": "standard", "secret": "whsec_no base64 at all"}, "/secret"),
        ({"secret": "********"}, "/secret"),
        ({"secret": ""}, "/secret"),
        ({"type_prefix": "hub"}, "/type_prefix"),
        ({"type_prefix": "hub.x"}, "/type_prefix"),
        ({"type_prefix": "a b"}, "/type_prefix"),
        ({"previous_secrets": []}, "/previous_secrets"),
        ({"name": None}, "/name"),
    ],
)
async def test_what_breaks_a_rule_is_pointed_at_and_never_quoted(
    sources: Sources, members: dict[str, Any], pointer: str
) -> None:
    made = await create(sources, secret="a secret that is longer than any mask")
    with pytest.raises(Invalid) as refused:
        await sources.patch("acme", made.id, members)
    assert [fault.pointer for fault in refused.value.errors] == [pointer]
    assert sources.find("acme", made.id).view() == made.view()


async def test_a_source_takes_requests_of_any_tenant_while_it_is_enabled(sources: Sources) -> None:
    made = await create(sources)
    found = sources.receiving(made.id)
    assert found is not None
    assert found.tenant == "acme"
    assert sources.receiving("src_unknown") is None
    await sources.patch("acme", made.id, {"enabled": False})
    assert sources.receiving(made.id) is None
    await sources.delete("acme", made.id)
    with pytest.raises(NotFound):
        sources.find("acme", made.id)
    with pytest.raises(NotFound):
        await sources.delete("acme", made.id)


async def test_a_source_whose_secrets_cannot_be_decrypted_is_shown_and_takes_a_new_one(
    sources: Sources, catalogue: Catalogue, clock: ManualClock
) -> None:
    made = await create(sources)
    elsewhere = Sources(catalogue, Sealer("another secret of the operator"), clock)
    lost = elsewhere.find("acme", made.id)
    assert (lost.view().secret, lost.view().name, lost.secrets(clock.now())) == (None, "ours", [])
    with pytest.raises(Unauthorized):
        lost.scheme.verify(
            {"x-hub-signature-256": "sha256=" + hmac.new(b"", b"", "sha256").hexdigest()}, b"", [], START
        )
    with pytest.raises(Invalid):
        await elsewhere.patch("acme", made.id, {"name": "renamed"})
    repaired = await elsewhere.patch("acme", made.id, {"secret": OTHER})
    assert repaired.secrets(clock.now()) == [OTHER]


async def test_a_source_of_a_scheme_that_only_a_newer_release_has_asks_its_sender_to_come_again(
    sources: Sources, catalogue: Catalogue, sealer: Sealer, clock: ManualClock
) -> None:
    made = await create(sources)
    newer = made.document.model_copy(update={"scheme": "of-a-newer-release"})
    doc = orjson.dumps(sealer.seal_model(newer, tenant="acme", owner=made.id))
    await catalogue.change(lambda: ([Record("source", "acme", made.id, doc)], []))
    (found,) = sources.listing("acme")
    assert found.view().scheme == "of-a-newer-release"
    with pytest.raises(Unavailable):
        found.scheme.verify({}, b"{}", found.secrets(clock.now()), clock.now())


async def test_members_and_options_that_a_newer_version_wrote_are_passed_over_and_stay(
    sources: Sources, catalogue: Catalogue, sealer: Sealer, store: Store
) -> None:
    made = await create(sources, options={})
    doc = sealer.seal_model(made.document, tenant="acme", owner=made.id)
    doc["plain"] |= {"new": 1, "options": {"new": 2}}
    await catalogue.change(lambda: ([Record("source", "acme", made.id, orjson.dumps(doc))], []))
    assert sources.find("acme", made.id).document.name == "ours"
    await sources.patch("acme", made.id, {"name": "renamed"})
    await sources.rotate("acme", made.id, SecretStr(OTHER), timedelta(days=1))
    with pytest.raises(Invalid):
        await sources.patch("acme", made.id, {"options": {"new": 3}})
    (kept,) = [record.doc for record in (await store.records.changes(0))[0] if record.kind == "source"]
    plain = orjson.loads(kept or b"")["plain"]
    assert (plain["name"], plain["new"], plain["options"]) == ("renamed", 1, {"new": 2})


@pytest.mark.parametrize("doc", [b"{}", b"[]", b'{"plain": {"name": 7}, "sealed": {}}'])
async def test_a_source_that_only_another_version_can_read_hides_no_other(
    sources: Sources, catalogue: Catalogue, doc: bytes
) -> None:
    made = await create(sources)
    await catalogue.change(lambda: ([Record("source", "acme", "src_odd", doc)], []))
    assert [found.id for found in sources.listing("acme")] == [made.id]
    with pytest.raises(Unavailable):
        sources.receiving("src_odd")
    with pytest.raises(Conflict):
        sources.find("acme", "src_odd")
    assert sources.sealed_otherwise("another") == [made.id]
    await sources.delete("acme", "src_odd")
    assert sources.receiving("src_odd") is None
