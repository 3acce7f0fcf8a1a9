"""The keyring: identifies callers, issues and revokes keys, and creates tenants."""

from base64 import urlsafe_b64encode
from datetime import datetime
from secrets import token_bytes

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys.model import (
    DEFAULT_TENANT,
    IssuedKey,
    Key,
    KeyView,
    NewKey,
    NewTenant,
    Principal,
    Tenant,
    digest,
    expired,
    same,
)
from hub.clock import Clock
from hub.errors import Conflict, Fault, Invalid, NotFound, Unauthorized
from hub.ids import new_id
from hub.models import FeedEntry, Record, Scope

ADMIN_KEY_ID = "key_admin"
_UNKNOWN_KEY = "The key is unknown, expired or revoked; ask an administrator for another."


class Keyring:
    """Keys have the form `hub_<id>_<secret>`; the operator's admin key, from the settings, may be any text.

    Example:

        issued = await keys.issue(NewKey(name="order service", scopes=frozenset({Scope.EVENTS_WRITE})))
        keys.identify(issued.key).tenant  # "default"
        await keys.revoke(issued.id)
    """

    def __init__(self, catalogue: Catalogue, clock: Clock, admin_key: str) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._admin = digest(admin_key)

    def identify(self, text: str) -> Principal:
        """The caller whose key this is. Raises `Unauthorized`."""
        hashed = digest(text)
        if same(hashed, self._admin):
            return Principal(ADMIN_KEY_ID, DEFAULT_TENANT, frozenset({Scope.ADMIN}))
        # The id in the text finds the record in one step; it is the hash alone that decides.
        _, _, rest = text.partition("hub_")
        key = self._catalogue.keys.get("key_" + rest.partition("_")[0])
        if key is None or not same(hashed, key.hash) or expired(key, self._clock.now()):
            raise Unauthorized(_UNKNOWN_KEY)
        return Principal(key.id, key.tenant, key.scopes)

    def is_valid(self, principal: Principal) -> bool:
        """Whether the key of this caller is still valid."""
        key = self._catalogue.keys.get(principal.key_id)
        return principal.key_id == ADMIN_KEY_ID or (key is not None and not expired(key, self._clock.now()))

    def expires_at(self, principal: Principal) -> datetime | None:
        """When the key of this caller expires; None for one that does not, and for one that is gone."""
        key = self._catalogue.keys.get(principal.key_id)
        return key.expires_at if key is not None else None

    async def issue(self, new: NewKey) -> IssuedKey:
        """Issue a key, whose text is in the answer and nowhere else. Raises `Invalid` for an unknown tenant."""
        key_id = new_id("key")
        text = f"hub_{key_id.removeprefix('key_')}_{urlsafe_b64encode(token_bytes(32)).decode().rstrip('=')}"
        key = Key(
            id=key_id,
            tenant=new.tenant,
            name=new.name,
            scopes=new.scopes,
            hash=digest(text),
            created_at=self._clock.now(),
            expires_at=new.expires_at,
        )

        def build() -> tuple[list[Record], list[FeedEntry]]:
            if new.tenant not in self._catalogue.tenants:
                raise Invalid("There is no such tenant; create it first.", errors=[Fault("is unknown", "/tenant")])
            return [Record("key", key.tenant, key.id, key.written())], []

        await self._catalogue.change(build)
        return IssuedKey(**view(key).model_dump(), key=text)

    def find(self, key_id: str) -> Key:
        """Raises `NotFound`."""
        key = self._catalogue.keys.get(key_id)
        if key is None:
            raise NotFound("There is no such key.")
        return key

    def listing(self) -> list[Key]:
        """All keys, newest first."""
        return sorted(self._catalogue.keys.values(), key=lambda key: key.id, reverse=True)

    async def revoke(self, key_id: str) -> None:
        """Once this returns, the key is refused."""

        def build() -> tuple[list[Record], list[FeedEntry]]:
            # Also one that only another version can read: it may be valid there.
            key = self._catalogue.passed_over("key", key_id) or self.find(key_id)
            return [Record("key", key.tenant, key.id, None)], []

        await self._catalogue.change(build)

    async def create_tenant(self, new: NewTenant) -> Tenant:
        """Raises `Conflict` when the id is taken."""
        tenant = Tenant(id=new.id, name=new.name, created_at=self._clock.now())

        def build() -> tuple[list[Record], list[FeedEntry]]:
            if new.id in self._catalogue.tenants:
                raise Conflict("A tenant with this id exists; choose another.")
            self._catalogue.refuse_passed_over("tenant", new.id)
            return [Record("tenant", tenant.id, tenant.id, tenant.written())], []

        await self._catalogue.change(build)
        return tenant

    def tenants(self) -> list[Tenant]:
        """By id."""
        return sorted(self._catalogue.tenants.values(), key=lambda tenant: tenant.id)

    async def ensure_default_tenant(self) -> None:
        """Create it where it is missing. Another process may do the same at the same time."""
        if DEFAULT_TENANT not in self._catalogue.tenants:
            try:
                await self.create_tenant(NewTenant(id=DEFAULT_TENANT, name="Default"))
            except Conflict:
                # The tenant of the process that was quicker serves as well; any other conflict is an error.
                if DEFAULT_TENANT not in self._catalogue.tenants:
                    raise


def view(key: Key) -> KeyView:
    return KeyView(
        id=key.id,
        tenant=key.tenant,
        name=key.name,
        scopes=sorted(key.scopes),
        created_at=key.created_at,
        expires_at=key.expires_at,
    )
