"""The operator's two secrets: made at the first start where none is given, and the same in every process of a hub."""

import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex, token_urlsafe

import orjson
from pydantic import SecretStr

from hub.catalogue.catalogue import Catalogue
from hub.models import FeedEntry, Record

_PURPOSE = b"notification-hub/fingerprint/v1"
_FINGERPRINT = 8
"""Hexadecimal digits: enough to notice another secret, and too few to be sure of having guessed this one."""


def kept_secret(given: SecretStr | None, path: Path) -> str:
    """The secret given, or else the one in the file, which is made if it is missing; readable by the owner only.

    Of several processes that make it at once one wins, and all have its secret.
    """
    if given is not None:
        return given.get_secret_value()
    if not path.exists():
        draft = path.with_name(f"{path.name}.{token_hex(8)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            # Unlike a rename, a link takes no name that is taken.
            with suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink(missing_ok=True)
        _sync(path.parent)
    return path.read_text(encoding="utf-8").strip()


def fingerprint(secret: str) -> str:
    """What tells this secret from another one, and tells nothing else of it."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()[:_FINGERPRINT]


async def first_fingerprint(catalogue: Catalogue, name: str, secret: str, *, replace: bool = False) -> str:
    """The fingerprint that is kept of the secret of this name: of whichever process was first, or with `replace` of the
    last one; that of `secret`, then, for all who were given the same."""
    ours = fingerprint(secret)

    def build() -> tuple[list[Record], list[FeedEntry]]:
        kept = catalogue.fingerprints.get(name)
        if kept is not None and (not replace or kept == ours):
            return [], []
        return [Record("secret", "", name, orjson.dumps({"fingerprint": ours}))], []

    if catalogue.fingerprints.get(name) != ours:
        await catalogue.change(build)
    return catalogue.fingerprints[name]


def _sync(directory: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
