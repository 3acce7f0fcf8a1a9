"""Cleaning temp files removes what is old, and cannot be led outside its directory."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schedules.temp_files import MAX_DEPTH, MAX_ERRORS, MAX_NAMES, Removed, _mount_of, clean

DAY = timedelta(days=1)


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    directory = tmp_path / "tmp"
    directory.mkdir()
    return directory


def write(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def days_from_now(days: float) -> datetime:
    """An instant from which files that a test has just made are `days` old: the age of an inode cannot be set."""
    return datetime.now(UTC) + timedelta(days=days)  # noqa: TID251 - the file system is on the machine's clock


def touched(path: Path, at: datetime) -> Path:
    os.utime(path, (at.timestamp(), at.timestamp()), follow_symlinks=False)
    return path


def swept(directory: Path, limit: int = 50_000) -> Removed:
    """A run two days from now, when everything that was not `touched` is old."""
    return clean(directory, DAY, days_from_now(2), limit=limit)


def test_old_files_go_and_young_ones_stay(temp: Path) -> None:
    old = write(temp / "old.csv", "12345")
    young = touched(write(temp / "young.csv"), days_from_now(1.5))
    removed = swept(temp)
    assert not old.exists()
    assert young.exists()
    assert (removed.files, removed.file_count, removed.bytes) == (["old.csv"], 1, 5)
    assert removed.complete
    assert not removed.errors


def test_a_file_that_was_unpacked_here_with_an_old_date_is_young(temp: Path) -> None:
    unpacked = touched(write(temp / "unpacked"), datetime(2020, 1, 1, tzinfo=UTC))
    assert clean(temp, DAY, days_from_now(0)).file_count == 0
    assert unpacked.exists()


def test_a_date_in_the_future_does_not_keep_a_file_forever(temp: Path) -> None:
    dated = touched(write(temp / "dated"), days_from_now(5_000))
    swept(temp)
    assert not dated.exists()


def test_nothing_goes_while_the_clock_is_set_back(temp: Path) -> None:
    kept = write(temp / "kept")
    assert clean(temp, DAY, days_from_now(-30)).file_count == 0
    assert kept.exists()


def test_old_directories_go_when_they_are_empty_but_never_the_root(temp: Path) -> None:
    write(temp / "a" / "b" / "old")
    (temp / "empty").mkdir()
    kept = touched(write(temp / "c" / "young"), days_from_now(1.5))
    removed = swept(temp)
    assert sorted(path.name for path in temp.iterdir()) == ["c"]
    assert kept.exists()
    assert removed.directory_count == 3
    assert removed.error_count == 0
    kept.unlink()
    (temp / "c").rmdir()
    swept(temp)
    assert temp.is_dir()


def test_a_young_empty_directory_stays(temp: Path) -> None:
    young = temp / "young"
    young.mkdir()
    touched(young, days_from_now(1.5))
    assert swept(temp).directory_count == 0
    assert young.is_dir()


def test_a_link_to_a_directory_outside_is_removed_and_not_followed(temp: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "precious")
    (temp / "link").symlink_to(outside.parent, target_is_directory=True)
    (temp / "deep").mkdir()
    (temp / "deep" / "link").symlink_to("../../outside", target_is_directory=True)
    removed = swept(temp)
    assert outside.exists()
    assert sorted(removed.files) == ["deep/link", "link"]
    assert list(temp.iterdir()) == []


def test_a_young_link_stays(temp: Path, tmp_path: Path) -> None:
    link = temp / "link"
    link.symlink_to(tmp_path)
    touched(link, days_from_now(1.5))
    assert swept(temp).file_count == 0
    assert link.is_symlink()


def test_a_root_that_is_a_link_is_refused(temp: Path, tmp_path: Path) -> None:
    precious = write(temp / "precious")
    (tmp_path / "link").symlink_to(temp)
    with pytest.raises(NotADirectoryError):
        swept(tmp_path / "link")
    assert precious.exists()


def test_a_missing_root_is_an_empty_one(tmp_path: Path) -> None:
    assert swept(tmp_path / "missing") == Removed()


def test_other_names_of_a_file_keep_its_content_and_no_bytes_are_counted(temp: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", "content")
    os.link(other, temp / "name")
    removed = swept(temp)
    assert other.read_text() == "content"
    assert (removed.file_count, removed.bytes) == (1, 0)


def test_sockets_and_pipes_are_left_alone(temp: Path) -> None:
    os.mkfifo(temp / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(temp / "socket"))
    assert swept(temp).file_count == 0
    assert {path.name for path in temp.iterdir()} == {"pipe", "socket"}


def swap_when_looked_at(monkeypatch: pytest.MonkeyPatch, name: str, swap: Callable[[], None]) -> None:
    """Let somebody change the entry just after its type was seen."""
    real = os.stat
    pending = [swap]

    def stat(path: str, **options: Any) -> os.stat_result:
        status = real(path, **options)
        if path == name and pending:
            pending.pop()()
        return status

    monkeypatch.setattr(os, "stat", stat)


def test_a_directory_swapped_for_a_link_after_the_look_is_not_entered(
    temp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = write(tmp_path / "outside" / "precious")
    (temp / "dir").mkdir()

    def swap() -> None:
        (temp / "dir").rmdir()
        (temp / "dir").symlink_to(outside.parent)

    swap_when_looked_at(monkeypatch, "dir", swap)
    removed = swept(temp)
    assert outside.exists()
    assert removed.error_count == 1
    assert removed.errors[0].startswith("dir: ")


def test_a_file_swapped_for_a_link_after_the_look_costs_only_the_link(
    temp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = write(tmp_path / "precious")
    entry = write(temp / "entry")

    def swap() -> None:
        entry.unlink()
        entry.symlink_to(outside)

    swap_when_looked_at(monkeypatch, "entry", swap)
    swept(temp)
    assert outside.exists()


def test_a_file_swapped_for_a_directory_is_an_error_and_the_run_goes_on(
    temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = write(temp / "entry")
    write(temp / "other")

    def swap() -> None:
        entry.unlink()
        write(entry / "inside")

    swap_when_looked_at(monkeypatch, "entry", swap)
    removed = swept(temp)
    assert (entry / "inside").exists()
    assert removed.files == ["other"]
    assert removed.error_count == 1


def test_a_file_that_someone_else_removes_is_no_error(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = write(temp / "entry")
    swap_when_looked_at(monkeypatch, "entry", entry.unlink)
    assert swept(temp) == Removed()


def test_a_directory_that_is_used_while_it_is_swept_stays(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(temp / "dir" / "old")
    arrived = temp / "dir" / "arrived"
    real = os.rmdir

    def rmdir(path: str, **options: int) -> None:
        arrived.touch()
        real(path, **options)

    monkeypatch.setattr(os, "rmdir", rmdir)
    removed = swept(temp)
    assert arrived.exists()
    assert removed.directory_count == 0
    assert removed.errors == ["dir: Directory not empty"]


def test_other_mounts_are_told_apart_from_directories_of_the_same_one(temp: Path) -> None:
    (temp / "inside").mkdir()
    opened = [os.open(path, os.O_RDONLY) for path in (temp, temp / "inside", "/proc")]
    try:
        here, inside, elsewhere = map(_mount_of, opened)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert here == inside
    assert here != elsewhere


def test_another_mount_is_not_entered(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = write(temp / "mounted" / "precious")
    mounts = iter([(1, 1), (1, 2)])
    monkeypatch.setattr("schedules.temp_files._mount_of", lambda _: next(mounts))
    assert swept(temp) == Removed()
    assert mounted.exists()


def test_a_run_removes_at_most_its_limit_and_the_next_goes_on(temp: Path) -> None:
    for number in range(5):
        write(temp / str(number))
    first = swept(temp, limit=3)
    assert (first.file_count, first.complete) == (3, False)
    second = swept(temp, limit=3)
    assert (second.file_count, second.complete) == (2, True)


def test_directories_count_towards_the_limit(temp: Path) -> None:
    for number in range(5):
        (temp / str(number)).mkdir()
    removed = swept(temp, limit=3)
    assert (removed.directory_count, removed.complete) == (3, False)


def test_young_files_never_use_up_the_limit(temp: Path) -> None:
    for number in range(20):
        touched(write(temp / f"young-{number}"), days_from_now(1.5))
    write(temp / "old")
    removed = swept(temp, limit=1)
    assert (removed.files, removed.complete) == (["old"], True)


def test_names_are_capped_and_counts_are_not(temp: Path) -> None:
    for number in range(MAX_NAMES + 5):
        (temp / str(number)).touch()
    removed = swept(temp)
    assert len(removed.files) == MAX_NAMES
    assert removed.file_count == MAX_NAMES + 5


def test_errors_are_capped_and_counted(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MAX_ERRORS + 5):
        (temp / str(number)).touch()

    def unlink(path: str, **options: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", unlink)
    removed = swept(temp)
    assert len(removed.errors) == MAX_ERRORS
    assert removed.error_count == MAX_ERRORS + 5
    assert removed.file_count == 0
    assert removed.errors[0].endswith(": Operation not permitted")


def test_a_tree_deeper_than_the_cap_is_reported_and_the_rest_is_cleaned(temp: Path) -> None:
    deep = temp.joinpath(*["d"] * (MAX_DEPTH + 3))
    write(deep / "buried")
    write(temp / "old")
    removed = swept(temp)
    assert removed.files == ["old"]
    assert "nested deeper" in removed.errors[0]
    assert (deep / "buried").exists()


def test_a_name_that_is_not_unicode_is_removed_and_printable(temp: Path) -> None:
    name = os.fsencode(temp) + b"/caf\xe9"
    os.close(os.open(name, os.O_CREAT))
    removed = swept(temp)
    assert removed.files == ["caf\\xe9"]
    assert not any(temp.iterdir())


def test_no_descriptor_stays_open(temp: Path) -> None:
    for number in range(20):
        write(temp / str(number) / "nested" / "file")
    before = len(list(Path("/proc/self/fd").iterdir()))
    swept(temp)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
