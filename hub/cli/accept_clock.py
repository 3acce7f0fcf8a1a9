"""`hub doctor --accept-clock`: trust a clock that has jumped. It works beside a running hub."""

import asyncio
import pkgutil

from hub.cli.checks import database_path
from hub.cli.client import ClientError
from hub.cli.configuration import load_settings
from hub.clock import Clock
from hub.errors import HubError
from hub.findings import Finding

_RIGHT = "Set this machine's clock right first, by time synchronisation (NTP), and run it again where the hub runs."


def accepted_clock(clock: Clock) -> Finding:
    """Trust the clocks of the hub whose store the settings name, from now on."""
    try:
        settings = load_settings()
        if (path := database_path(settings)) is not None:
            was_held: bool = pkgutil.resolve_name("hub.stores.sqlite.clock:accept_clock")(path.absolute())
        else:
            accept = pkgutil.resolve_name("hub.stores.redis.clock:accept_clock")
            was_held = asyncio.run(accept(settings.store_url, clock))
    except (ClientError, HubError) as error:
        return Finding("accept clock", "failed", str(error), _RIGHT)
    if not was_held:
        return Finding("accept clock", "ok", "no clock had jumped")
    return Finding("accept clock", "ok", "accepted: within a minute the hub removes what is old again")
