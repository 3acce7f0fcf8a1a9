"""Secrets of targets and sources: encrypted in the store, masked in answers."""

import base64
import hmac
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, TypeVar

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from hub.errors import Fault, Invalid
from hub.validation import pointer

ModelT = TypeVar("ModelT", bound=BaseModel)
Path = tuple[str | int, ...]

MASK = "********"
_VERSION = "v1:"
_NONCE = 12
_BROKEN = "A stored secret cannot be decrypted: start the hub with the HUB_SECRET_KEY that it was stored with."
_LONG = 32
_KIND = re.compile(r"https?://[a-z0-9.-]+/|[a-z]+://|whsec_|xox[a-z]-")
"""Prefixes that tell the kind of a secret and nothing of the secret itself."""


class SealBroken(Exception):
    """A sealed text cannot be decrypted: with another key, or where the text was altered or moved."""


_PURPOSE = b"notification-hub/fingerprint/v1"
_FINGERPRINT = 8
"""Hexadecimal digits: enough to notice a wrong secret, too few to confirm a guessed one."""


def fingerprint(secret: str) -> str:
    """A short digest by which two secrets can be told apart, and which reveals nothing else of them."""
    return hmac.new(secret.encode(), _PURPOSE, sha256).hexdigest()[:_FINGERPRINT]


class Sealer:
    """AES-256-GCM under a key derived from the operator's secret (HKDF-SHA256, RFC 5869).

    It opens with any of its secrets. It seals with the one whose fingerprint `active` gives, so that all processes of a
    hub seal with the same one while a secret is being rotated; otherwise with the first.

    Tenant, owner and field are authenticated with each text, so that one cannot be moved to another place.

    Example:

        sealer = Sealer("the operator's secret, 32 characters at least")
        sealed = sealer.seal("whsec_…", tenant="default", owner="sub_1", field="secret")
        sealer.open(sealed, tenant="default", owner="sub_1", field="secret")  # "whsec_…"
    """

    def __init__(self, *secrets: str, active: Callable[[], str | None] = lambda: None) -> None:
        self._ciphers = {fingerprint(secret): _cipher(secret) for secret in secrets}
        self._active = active

    @property
    def sealing(self) -> str:
        """The fingerprint of the secret that it seals with."""
        active = self._active()
        return active if active in self._ciphers else next(iter(self._ciphers))

    def add(self, secret: str) -> None:
        """Open with this secret too, and seal with it once it is the active one."""
        self._ciphers[fingerprint(secret)] = _cipher(secret)

    def seal(self, text: str, *, tenant: str, owner: str, field: str) -> str:
        """The text encrypted, as printable ASCII."""
        # Fresh for each text: a nonce that is used twice under one key would break the encryption of both.
        nonce = os.urandom(_NONCE)
        box = self._ciphers[self.sealing].encrypt(nonce, text.encode(), _context(tenant, owner, field))
        return _VERSION + base64.urlsafe_b64encode(nonce + box).decode()

    def open(self, sealed: str, *, tenant: str, owner: str, field: str) -> str:
        """The text that was sealed for this place. Raises `SealBroken`."""
        return self._open(sealed, _context(tenant, owner, field))[0]

    def _open(self, sealed: str, context: bytes) -> tuple[str, str]:
        """The text, and the fingerprint of the secret that it was sealed with."""
        if not sealed.startswith(_VERSION):
            raise SealBroken(_BROKEN)
        try:
            box = base64.b64decode(sealed.removeprefix(_VERSION), altchars=b"-_", validate=True)
        except ValueError:
            raise SealBroken(_BROKEN) from None
        for print_, cipher in self._ciphers.items():
            with suppress(InvalidTag, ValueError):
                return cipher.decrypt(box[:_NONCE], box[_NONCE:], context).decode(), print_
        raise SealBroken(_BROKEN)

    def sealed_with(self, document: Mapping[str, Any], *, tenant: str, owner: str) -> frozenset[str]:
        """The fingerprints of the secrets that a document of `seal_model` was sealed with. Raises `SealBroken`."""
        sealed = document["sealed"].items()
        return frozenset(self._open(text, _context(tenant, owner, field))[1] for field, text in sealed)

    def resealed(self, document: Mapping[str, Any], *, tenant: str, owner: str) -> dict[str, Any]:
        """A document of `seal_model` with each secret sealed with the present key. Raises `SealBroken`."""

        def again(field: str, text: str) -> str:
            opened = self.open(text, tenant=tenant, owner=owner, field=field)
            return self.seal(opened, tenant=tenant, owner=owner, field=field)

        return {**document, "sealed": {field: again(field, text) for field, text in document["sealed"].items()}}

    def seal_model(self, model: BaseModel, *, tenant: str, owner: str) -> dict[str, Any]:
        """The model as JSON values, secrets apart: `{"plain": {…, "secret": null}, "sealed": {path: "v1:…"}}`."""
        sealed: dict[str, str] = {}

        def keep(secret: SecretStr, path: Path) -> None:
            field = _field(path)
            sealed[field] = self.seal(secret.get_secret_value(), tenant=tenant, owner=owner, field=field)

        return {"plain": _with_secrets(model, keep), "sealed": sealed}

    def open_model(self, model: type[ModelT], document: Mapping[str, Any], *, tenant: str, owner: str) -> ModelT:
        """What `seal_model` was given. Raises `SealBroken`."""

        def fill(value: Any, path: Path) -> Any:
            if isinstance(value, dict):
                return {name: fill(inner, (*path, name)) for name, inner in value.items()}
            if isinstance(value, list):
                return [fill(inner, (*path, index)) for index, inner in enumerate(value)]
            field = _field(path)
            text = document["sealed"].get(field)
            return value if text is None else self.open(text, tenant=tenant, owner=owner, field=field)

        return model.model_validate(fill(document["plain"], ()))


def _cipher(secret: str) -> AESGCM:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"notification-hub/secrets/v1")
    return AESGCM(derive.derive(secret.encode()))


def mask(secret: str) -> str:
    """What may be shown of a secret: its kind, the host of a web address, and the end of a long one."""
    end = secret[-4:] if len(secret) >= _LONG else ""
    kind = _KIND.match(secret)
    return f"{kind[0] if kind else ''}{MASK}{end}"


def mask_model(model: BaseModel) -> dict[str, Any]:
    """The model as JSON values with each secret masked, and without members that are null."""
    return _with_secrets(model, lambda secret, _: mask(secret.get_secret_value()), exclude_none=True)


def reveal_model(model: BaseModel) -> dict[str, Any]:
    """The model as JSON values with each secret in clear, and without members that are null."""
    return _with_secrets(model, lambda secret, _: secret.get_secret_value(), exclude_none=True)


def unmask(patch: Mapping[str, Any], current: BaseModel, *place: str) -> dict[str, Any]:
    """The patch of a model, in which each masked secret that came back as it is shown is replaced by the secret.

    Raises `Invalid` with pointers under `place` for a masked value that belongs to no secret at its place.
    """
    wrong: list[Fault] = []

    def walk(value: Any, was: Any, path: Path) -> Any:
        if isinstance(value, dict):
            known = was if isinstance(was, dict) else {}
            return {name: walk(inner, known.get(name), (*path, name)) for name, inner in value.items()}
        if isinstance(value, list):
            rest = list(was) if isinstance(was, list | tuple) else []
            return [walk(inner, rest[i] if i < len(rest) else None, (*path, i)) for i, inner in enumerate(value)]
        if not isinstance(value, str) or MASK not in value:
            return value
        if isinstance(was, SecretStr) and value == mask(was.get_secret_value()):
            return was.get_secret_value()
        wrong.append(Fault("is masked, and no secret is kept here; send the secret", pointer(*place, *path)))
        return value

    unmasked = {name: walk(value, _dumped(current).get(name), (name,)) for name, value in patch.items()}
    if wrong:
        raise Invalid("A masked secret cannot be stored.", errors=wrong)
    return unmasked


def _context(tenant: str, owner: str, field: str) -> bytes:
    # As a JSON array, so that no two places give the same bytes, whatever characters their names have.
    return orjson.dumps([tenant, owner, field])


def _field(path: Path) -> str:
    return orjson.dumps(path).decode()


def _dumped(model: BaseModel, *, exclude_none: bool = False) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_none=exclude_none)


def _with_secrets(
    model: BaseModel, shown: Callable[[SecretStr, Path], str | None], *, exclude_none: bool = False
) -> dict[str, Any]:
    """The model as JSON values with the text that `shown` gives in place of each secret."""

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, SecretStr):
            return shown(value, path)
        if isinstance(value, dict):
            return {name: walk(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [walk(inner, (*path, index)) for index, inner in enumerate(value)]
        return to_jsonable_python(value)

    dumped = _dumped(model, exclude_none=exclude_none)
    return {name: walk(value, (name,)) for name, value in dumped.items()}
