import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import channels
from channels import ChannelConflict, load_channels
from channels.webhook import WebhookChannel
from hub.testing.patience import PATIENCE_SECONDS

PACKAGE = Path(channels.__file__).parent

OUTSIDE = """\
from channels.base import Channel, Receipt, TargetModel

class PigeonChannel(Channel):
    kind = "{kind}"
    Target = TargetModel

    async def send(self, message, target):
        return Receipt()
"""


@pytest.fixture(autouse=True)
def _looked_for_again() -> Iterator[None]:
    load_channels.cache_clear()
    yield
    load_channels.cache_clear()


def test_every_channel_of_the_package_is_found() -> None:
    assert {"email", "file", "slack", "webhook"} <= set(load_channels())
    assert load_channels()["webhook"] is WebhookChannel


def distribute(directory: Path, name: str, *, entry_points: str = "", record: str = "") -> None:
    """What an installer leaves of a distribution."""
    info = directory / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    (info / "RECORD").write_text(record)


def announce(directory: Path, monkeypatch: pytest.MonkeyPatch, entry: str, kind: str = "pigeon") -> None:
    module = f"pigeon_{directory.name}".replace("-", "_")
    distribute(directory, "hub-pigeon", entry_points=f"[hub.channels]\n{entry} = {module}:PigeonChannel\n")
    (directory / f"{module}.py").write_text(OUTSIDE.format(kind=kind))
    monkeypatch.syspath_prepend(directory)


def test_another_distribution_can_add_a_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, monkeypatch, "pigeon")
    assert load_channels()["pigeon"].__name__ == "PigeonChannel"


def test_a_channel_of_ours_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, monkeypatch, "webhook", kind="webhook")
    with pytest.raises(ChannelConflict, match="hub-pigeon declares the channel 'webhook', which already exists"):
        load_channels()


def test_an_entry_whose_kind_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path, monkeypatch, "pigeon", kind="dove")
    with pytest.raises(ChannelConflict, match=r"'pigeon' of hub\.channels has kind = 'dove'"):
        load_channels()


def test_an_entry_that_is_no_channel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribute(tmp_path, "hub-pigeon", entry_points="[hub.channels]\npigeon = pathlib:Path\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TypeError, match="must be a subclass"):
        load_channels()


def load_in(directory: Path) -> subprocess.CompletedProcess[str]:
    """Load the channels of the package in a directory, in a process of its own."""
    program = "from channels.discovery import load_channels; print(*load_channels())"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "channels", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_one_new_file_is_one_new_channel(copy: Path) -> None:
    (copy / "channels" / "pigeon.py").write_text(OUTSIDE.format(kind="pigeon"))
    assert load_in(copy).stdout.split() == ["email", "file", "pigeon", "slack", "webhook"]


def test_a_file_whose_channel_has_another_kind_is_refused(copy: Path) -> None:
    (copy / "channels" / "pigeon.py").write_text(OUTSIDE.format(kind="webhook"))
    assert "channels/pigeon.py must define one channel with kind = 'pigeon'" in load_in(copy).stderr


@pytest.mark.parametrize("overwritten", [False, True])
def test_django_channels_over_our_files_is_reported(copy: Path, overwritten: bool) -> None:
    distribute(copy, "channels", record="channels/__init__.py,,\nchannels/layers.py,,\n")
    if overwritten:
        (copy / "channels" / "__init__.py").write_text('__version__ = "4.0"\n')
    assert "Django Channels is installed over this package" in load_in(copy).stderr


def test_django_channels_elsewhere_does_not_matter(copy: Path, tmp_path: Path) -> None:
    distribute(copy / "site", "channels", record="channels/__init__.py,,\n")
    program = "import sys; sys.path.append('site'); from channels.discovery import load_channels; load_channels()"
    subprocess.run([sys.executable, "-c", program], cwd=copy, check=True, timeout=PATIENCE_SECONDS)


def test_every_setting_that_a_channel_reads_is_among_its_names() -> None:
    read = {
        name
        for module in PACKAGE.rglob("*.py")
        for pattern in (r"options(?:\.get\(|\[)\"(\w+)\"", r"_option\(options, [\"'](\w+)[\"']\)")
        for name in re.findall(pattern, module.read_text())
    }
    named = {name for channel in load_channels().values() for name in channel.option_names}
    assert len(read) > 10
    assert read - named == set()
