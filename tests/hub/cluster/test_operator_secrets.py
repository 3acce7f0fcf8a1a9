"""The operator's secrets are made once, however many processes start at once, and are the same in all of them."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import SecretStr

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import fingerprint
from hub.catalogue.subscriptions import Subscription
from hub.cluster.operator_secrets import draft_file, first_fingerprint, kept_secret, secret_keys
from hub.errors import Conflict, HubError
from hub.models import Record
from hub.settings import Settings
from hub.stores import open_store
from hub.stores.base import Records
from hub.testing.clock import ManualClock

AT_ONCE = 16


def test_a_secret_that_is_given_is_not_written_down(tmp_path: Path) -> None:
    assert kept_secret(SecretStr("given"), tmp_path / "secret.key") == "given"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = kept_secret(None, tmp_path / "secret.key")
    assert len(made) >= 43
    assert kept_secret(None, tmp_path / "secret.key") == made
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_many_that_make_it_at_once_all_have_the_same_secret(tmp_path: Path) -> None:
    path, together = tmp_path / "secret.key", Barrier(AT_ONCE)

    def start(_: int) -> str:
        together.wait()
        return kept_secret(None, path)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        secrets = set(pool.map(start, range(AT_ONCE)))
    assert secrets == {path.read_text().strip()}
    assert [left.name for left in tmp_path.iterdir()] == ["secret.key"]


def test_the_key_of_the_settings_comes_first_and_without_white_space(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, secret_key=f" {'n' * 40}\n", previous_secret_key="o" * 40)
    # Earlier versions sealed with what was given, white space and all.
    assert secret_keys(given) == ["n" * 40, f" {'n' * 40}\n", "o" * 40]
    assert list(tmp_path.iterdir()) == []


def test_a_generated_key_is_followed_by_the_one_it_is_to_replace(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (old,) = secret_keys(settings)
    new = kept_secret(None, draft_file(settings))
    assert secret_keys(settings) == [new, old]


def test_a_file_without_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(HubError, match="HUB_SECRET_KEY"):
        secret_keys(Settings(data_dir=tmp_path))


def test_a_fingerprint_tells_secrets_apart_and_no_more() -> None:
    one, other = fingerprint("a" * 43), fingerprint("b" * 43)
    assert one != other
    assert len(one) == 8


def no_subscription(record: Record) -> Subscription:
    raise AssertionError("no test here has a subscription")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with open_store(f"sqlite:///{tmp_path}/hub.db", ManualClock()) as store:
        yield store.records


def catalogue(records: Records) -> Catalogue:
    return Catalogue(records, no_subscription)


async def test_of_many_with_secrets_of_their_own_the_first_ones_is_the_hubs(records: Records) -> None:
    kept = await asyncio.gather(
        *(first_fingerprint(catalogue(records), "secret_key", f"secret {number}") for number in range(6))
    )
    assert len(set(kept)) == 1
    assert kept[0] in {fingerprint(f"secret {number}") for number in range(6)}


async def test_what_only_a_newer_version_knows_of_a_secret_is_not_overwritten(records: Records) -> None:
    newer = Record("secret", "", "admin_key", b'{"fingerprint": "f", "zone": "eu"}')
    await records.write([newer, Record("secret", "", "secret_key", b"[]")])
    known = catalogue(records)
    await known.refresh()
    await first_fingerprint(known, "admin_key", "new", replace=True)
    assert {record.doc for record in (await records.changes(0))[0]} == {
        b'{"zone":"eu","fingerprint":"%b"}' % fingerprint("new").encode(),
        b"[]",
    }
    with pytest.raises(Conflict):
        await first_fingerprint(known, "secret_key", "ours")


async def test_a_secret_that_may_be_replaced_is_the_last_ones(records: Records) -> None:
    await first_fingerprint(catalogue(records), "admin_key", "old")
    assert await first_fingerprint(catalogue(records), "admin_key", "new", replace=True) == fingerprint("new")
    later = catalogue(records)
    await later.refresh()
    assert await first_fingerprint(later, "admin_key", "old") == fingerprint("new")
    assert later.fingerprint("admin_key") == fingerprint("new")
