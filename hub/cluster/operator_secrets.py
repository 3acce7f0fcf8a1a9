"""The operator's two secrets, generated at the first start unless set, and the same in every process of a hub."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex, token_urlsafe

import structlog
from pydantic import SecretStr

from hub.catalogue.catalogue import Catalogue, SecretMark
from hub.catalogue.sealing import fingerprint
from hub.catalogue.subscriptions.unreadable import UnreadableTarget
from hub.errors import HubError
from hub.models import FeedEntry, Record
from hub.settings import Settings, bare_key, read_key

SEALING_KEY = "secret_key"
"""The name under which the store keeps the fingerprint of the key that secrets are sealed with."""
KEY_FILES = ("admin.key", "secret.key", "secret.key.next")
"""Generated keys in the data directory; the last one is there while the secret key is being rotated."""

_SEALED_OTHERWISE = (
    "The secrets in this store are sealed with another HUB_SECRET_KEY. Give every process of a hub the same one. If you"
    " never set one, the first start made it: it is in the file secret.key in the data directory. If it is lost for"
    " good, `hub secrets adopt` lets the hub start without what was sealed with it."
)
_NOT_THE_ADMIN_KEY = (
    "Another machine made the admin key of this hub. Set HUB_ADMIN_KEY to the same value in every web process; the"
    " present key is in the file admin.key in that machine's data directory."
)
_log = structlog.get_logger(__name__)


def kept_secret(given: SecretStr | None, path: Path) -> str:
    """The given secret, or else the one in the file at `path`, which is created if it is missing.

    Only the owner can read the file. If several processes create it at once, one succeeds, and all get its secret.
    Raises `HubError` when the file holds no key.
    """
    if given is not None:
        return given.get_secret_value()
    if not path.exists():
        draft = path.with_name(f"{path.name}.{token_hex(8)}")
        try:
            # Private from its first byte, and on disk before it has its name: a crash leaves no file, or the whole
            # secret.
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # A rename would replace the file of another process that was quicker; a hard link fails instead.
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        sync_directory(path.parent)
    try:
        return read_key(path)
    except ValueError as wrong:
        raise HubError(str(wrong)) from None


def secret_keys(settings: Settings) -> list[str]:
    """The keys that stored secrets may be sealed with, the newest first. Generates the first one; raises `HubError`."""
    given = settings.secret_key
    if given is not None:
        keys = _as_given(given)
    else:
        keys = [kept_secret(None, settings.data_dir / "secret.key")]
        if (draft := draft_file(settings)).exists():
            keys.insert(0, kept_secret(None, draft))
    if settings.previous_secret_key is not None:
        keys += _as_given(settings.previous_secret_key)
    return list(dict.fromkeys(keys))


def draft_file(settings: Settings) -> Path:
    """Where a generated secret key stands while the stored secrets are being sealed with it."""
    return settings.data_dir / "secret.key.next"


def _as_given(key: SecretStr) -> list[str]:
    text = key.get_secret_value()
    return [str(bare_key(text)), text]


async def first_fingerprint(catalogue: Catalogue, name: str, secret: str, *, replace: bool = False) -> str:
    """The fingerprint that the store keeps of the secret of this name, which is that of `secret` if none was kept.

    With `replace` it becomes that of `secret` in any case. A process whose secret has another fingerprint than the one
    given here has the wrong secret.
    """
    ours = fingerprint(secret)

    def build() -> tuple[list[Record], list[FeedEntry]]:
        catalogue.refuse_passed_over("secret", name)
        kept = catalogue.secrets.get(name)
        # Looked at again here, because another process may have written its own since the catalogue was read.
        if kept is not None and (not replace or kept.fingerprint == ours):
            return [], []
        mark = SecretMark(fingerprint=ours) if kept is None else kept.model_copy(update={"fingerprint": ours})
        return [Record("secret", "", name, mark.written())], []

    if catalogue.fingerprint(name) != ours:
        await catalogue.change(build)
    return catalogue.secrets[name].fingerprint


async def refuse_other_secret(catalogue: Catalogue, secrets: Sequence[str]) -> None:
    """Raises `HubError` for a process without the secret key of the hub: what it sealed could be read by no other."""
    first_start = catalogue.fingerprint(SEALING_KEY) is None
    unreadable = any(isinstance(one.target, UnreadableTarget) for one in catalogue.every_subscription())
    # A store of before fingerprints were kept has none, and its subscriptions tell.
    if first_start and unreadable:
        raise HubError(_SEALED_OTHERWISE)
    if await first_fingerprint(catalogue, SEALING_KEY, secrets[0]) not in map(fingerprint, secrets):
        raise HubError(_SEALED_OTHERWISE)
    if unreadable:
        _log.warning("secrets.unreadable", advice="Set the secrets of the subscriptions with `missing_secrets` again.")


async def admin_key(settings: Settings, catalogue: Catalogue, *, shared: bool) -> str:
    """The operator's key. Where the store is shared, a key from the settings becomes the hub's; a generated key must
    already be the hub's, or `HubError` is raised."""
    given = settings.admin_key
    key = kept_secret(given, settings.data_dir / "admin.key")
    if shared:
        kept = catalogue.fingerprint("admin_key")
        if given is not None and kept not in (None, fingerprint(key)):
            _log.warning("admin_key.changed", advice="Give every web process the same HUB_ADMIN_KEY.")
        if await first_fingerprint(catalogue, "admin_key", key, replace=given is not None) != fingerprint(key):
            raise HubError(_NOT_THE_ADMIN_KEY)
    return key


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable, as `fsync(2)` on a file alone does not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
