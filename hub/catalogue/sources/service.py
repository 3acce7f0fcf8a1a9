"""Creating and changing sources, and finding the one that a request is sent to."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import orjson
from pydantic import SecretStr, ValidationError

from channels.base import PreviousSecret
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.sealing import SealBroken, Sealer, unmask
from hub.catalogue.sources.model import Source, SourceDocument, SourceSpec
from hub.catalogue.sources.schemes import SCHEMES, Announced, Headers, Scheme, Signed
from hub.catalogue.unknown_members import split, with_unknown
from hub.clock import Clock
from hub.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from hub.ids import new_id
from hub.models import FeedEntry, Record
from hub.stores.unreadable import READ_ERRORS, Unreadable
from hub.validation import pointer, pydantic_faults

_DECODED = 1_000
"""How many sources are kept ready, so that a request costs no decryption."""
_MAX_PREVIOUS = 4
_FOREIGN = "This source can be read by another version of the hub only; reach a process of that, or delete the source."


class Sources:
    """The sources of a tenant. A change is in force when its method returns.

    Example:

        spec = SourceSpec(name="our repositories", scheme="github", secret=SecretStr("a shared secret"))
        source = await sources.create("default", spec)
        await sources.rotate("default", source.id, SecretStr("another secret"), timedelta(days=1))
    """

    def __init__(
        self, catalogue: Catalogue, sealer: Sealer, clock: Clock, unreadable: Unreadable | None = None
    ) -> None:
        """`unreadable` is told of sources that only another version of the hub can read."""
        self._catalogue = catalogue
        self._unreadable = unreadable or Unreadable()
        self._sealer = sealer
        self._clock = clock
        self._decode = lru_cache(_DECODED)(self._decoded)

    def find(self, tenant: str, source_id: str) -> Source:
        """Raises `NotFound`, and `Conflict` where only another version of the hub can read it."""
        source = self._read(self._record(tenant, source_id))
        if source is None:
            raise Conflict(_FOREIGN)
        return source

    def receiving(self, source_id: str) -> Source | None:
        """The source of whatever tenant that takes requests at this id. Raises `Unavailable` where only another version
        of the hub can read it."""
        record = self._catalogue.sources.get(source_id)
        if record is None:
            return None
        source = self._read(record)
        if source is None:
            # While versions run side by side, the sender may reach a newer one next.
            raise Unavailable(_FOREIGN, retry_after=60)
        return source if source.document.enabled else None

    def listing(self, tenant: str) -> list[Source]:
        """Newest first, without those that only another version of the hub can read."""
        records = [record for record in self._catalogue.sources.values() if record.tenant == tenant]
        found = (self._read(record) for record in sorted(records, key=lambda record: record.id, reverse=True))
        return [source for source in found if source is not None]

    def _record(self, tenant: str, source_id: str) -> Record:
        record = self._catalogue.sources.get(source_id)
        if record is None or record.tenant != tenant:
            raise NotFound("There is no such source.")
        return record

    def _read(self, record: Record) -> Source | None:
        """None where only another version of the hub can read it."""
        try:
            return self._decode(record)
        except READ_ERRORS as error:
            self._unreadable.note(record.kind, record.id, error)
            return None

    async def create(self, tenant: str, spec: SourceSpec) -> Source:
        """Raises `Invalid` where the spec breaks a rule."""
        now = self._clock.now()
        made = _source(new_id("src"), tenant, _document(spec, created_at=now, updated_at=now))
        await self._catalogue.change(lambda: ([self._encoded(made)], []))
        return made

    async def patch(self, tenant: str, source_id: str, patch: Mapping[str, Any]) -> Source:
        """Replace the members that are given; null stands for the default. A secret that comes back as it is shown,
        masked, stays as it is."""

        def edit(current: SourceDocument) -> SourceDocument:
            members = {name: getattr(current, name) for name in SourceSpec.model_fields}
            if patch.get("scheme", current.scheme) != current.scheme:
                # The options of another scheme are others.
                members["options"] = {}
            members |= unmask(patch, current)
            try:
                spec = SourceSpec.model_validate({name: value for name, value in members.items() if value is not None})
            except ValidationError as error:
                raise Invalid("The patched source is not valid; see `errors`.", errors=pydantic_faults(error)) from None
            return _document(
                spec,
                previous_secrets=current.previous_secrets,
                created_at=current.created_at,
                updated_at=self._clock.now(),
            )

        return await self._edit(tenant, source_id, edit)

    async def rotate(self, tenant: str, source_id: str, secret: SecretStr, grace: timedelta) -> Source:
        """Take another secret. For `grace`, requests that are signed with the one before are accepted as well."""

        def edit(current: SourceDocument) -> SourceDocument:
            now = self._clock.now()
            before = PreviousSecret(secret=current.secret, expires_at=now + grace)
            valid = [one for one in (before, *current.previous_secrets) if one.expires_at > now]
            changed = {"secret": secret, "previous_secrets": tuple(valid[:_MAX_PREVIOUS]), "updated_at": now}
            return current.model_copy(update=changed)

        return await self._edit(tenant, source_id, edit)

    async def delete(self, tenant: str, source_id: str) -> None:
        """Its events stay."""

        def build() -> tuple[list[Record], list[FeedEntry]]:
            found = self._record(tenant, source_id)
            return [Record("source", tenant, found.id, None)], []

        await self._catalogue.change(build)

    def sealed_otherwise(self, sealing: str) -> list[str]:
        """Ids of those that are sealed with another key than the one with this fingerprint, and can be read."""
        return [record.id for record in self._catalogue.sources.values() if self._sealed_with(record) - {sealing}]

    def sealed_again(self, ids: Collection[str]) -> list[Record]:
        """Those of these ids that there are, sealed with the present key."""
        return [self._resealed(record) for id_, record in self._catalogue.sources.items() if id_ in ids]

    def unreadable(self) -> int:
        """How many cannot be read with any key."""
        return sum(not self._sealed_with(record) for record in self._catalogue.sources.values())

    def _sealed_with(self, record: Record) -> frozenset[str]:
        """The fingerprints of the keys; none where a secret cannot be read with any that there is."""
        try:
            return self._sealer.sealed_with(orjson.loads(record.doc or b"{}"), tenant=record.tenant, owner=record.id)
        except (SealBroken, *READ_ERRORS):
            return frozenset()

    def _resealed(self, record: Record) -> Record:
        doc = self._sealer.resealed(orjson.loads(record.doc or b"{}"), tenant=record.tenant, owner=record.id)
        return replace(record, doc=orjson.dumps(doc))

    async def _edit(self, tenant: str, source_id: str, edit: Callable[[SourceDocument], SourceDocument]) -> Source:
        def build() -> tuple[list[Record], list[FeedEntry]]:
            # Runs again when another process has changed the catalogue, and then edits what that process wrote.
            current = self.find(tenant, source_id)
            edited = _source(current.id, tenant, edit(current.document), current.document)
            return [self._encoded(replace(edited, unknown=current.unknown))], []

        await self._catalogue.change(build)
        return self.find(tenant, source_id)

    def _encoded(self, source: Source) -> Record:
        doc = self._sealer.seal_model(source.document, tenant=source.tenant, owner=source.id)
        whole = with_unknown(doc, source.unknown)
        return Record("source", source.tenant, source.id, orjson.dumps(whole))

    def _decoded(self, record: Record) -> Source:
        """Raises `READ_ERRORS`."""
        doc, unknown = split(orjson.loads(record.doc or b"{}"), SourceDocument)
        try:
            document = self._sealer.open_model(SourceDocument, doc, tenant=record.tenant, owner=record.id)
        except SealBroken:
            document = SourceDocument.model_validate({**doc["plain"], "secret": "", "previous_secrets": ()})
        scheme = SCHEMES.get(document.scheme, _UnknownScheme)
        return Source(record.id, record.tenant, document, scheme.model_validate(document.options), unknown)


class _UnknownScheme(Scheme):
    """Of a source that a newer release made. While releases run side by side, the sender may reach a newer one next."""

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        raise Unavailable("This release of the hub does not have the scheme of the source.", retry_after=60)

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        return None


def _document(spec: SourceSpec, **members: Any) -> SourceDocument:
    return SourceDocument.model_construct(**{name: getattr(spec, name) for name in SourceSpec.model_fields}, **members)


def _source(id_: str, tenant: str, document: SourceDocument, current: SourceDocument | None = None) -> Source:
    """The source of a document that a client wrote, in place of the current one. Raises `Invalid` with a pointer to
    each place that is wrong."""
    scheme = SCHEMES.get(document.scheme)
    if scheme is None:
        raise Invalid("There is no such scheme.", errors=[Fault(f"must be one of {', '.join(SCHEMES)}", "/scheme")])
    kept = current.options if current is not None and current.scheme == document.scheme else {}
    configured = _configured(scheme, document.options, kept)
    try:
        configured.key(document.secret.get_secret_value())
    except ValueError:
        fault = Fault(f"must have the form that secrets of the scheme {document.scheme} have", "/secret")
        raise Invalid("The secret is not valid.", errors=[fault]) from None
    return Source(id_, tenant, document, configured)


def _configured(scheme: type[Scheme], options: Mapping[str, Any], kept: Mapping[str, Any]) -> Scheme:
    # An unknown option that stays as it is comes from a newer version.
    unknown = [
        Fault("is not a known member", pointer("options", name))
        for name in options.keys() - scheme.model_fields.keys()
        if name not in kept or options[name] != kept[name]
    ]
    if unknown:
        raise Invalid("The options are not those of the scheme.", errors=unknown)
    try:
        return scheme.model_validate(options)
    except ValidationError as error:
        raise Invalid("The options are not valid; see `errors`.", errors=pydantic_faults(error, "options")) from None
