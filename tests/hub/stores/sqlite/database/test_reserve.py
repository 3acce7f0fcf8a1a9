"""Disk space is kept while there is plenty, and given back at once."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from hub.stores.sqlite.database.reserve import RESERVE_BYTES, Reserve


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_space_is_really_taken_for_the_owner_alone(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    status = (tmp_path / "reserve").stat()
    assert reserve.held
    assert (status.st_size, status.st_mode & 0o777) == (RESERVE_BYTES, 0o600)
    assert status.st_blocks * 512 >= RESERVE_BYTES


def test_it_is_given_back_once_and_can_be_taken_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve")
    assert [reserve.release(), reserve.release()] == [True, False]
    assert not (tmp_path / "reserve").exists()
    assert reserve.take()
    assert Reserve(tmp_path / "reserve").held


def test_on_a_disk_that_is_nearly_full_nothing_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 2 * RESERVE_BYTES - 1))
    assert not Reserve(tmp_path / "reserve").held
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_process_left_half_written_is_written_whole(tmp_path: Path) -> None:
    (tmp_path / "reserve").write_bytes(b"half")
    assert Reserve(tmp_path / "reserve").held
    assert (tmp_path / "reserve").stat().st_size == RESERVE_BYTES


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("kept")
    (tmp_path / "reserve").symlink_to(tmp_path / "theirs")
    assert not Reserve(tmp_path / "reserve").held
    assert (tmp_path / "theirs").read_text() == "kept"
