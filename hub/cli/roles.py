"""`hub web`, `hub worker` and `hub scheduler`: one role in each process, any number of each, over one shared store."""

from typing import Annotated

import typer

from hub.cli.configuration import load, load_settings
from hub.cli.serve import DataDir, Host, run_roles
from hub.cluster.roles import Role
from hub.settings import Platform, Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a platform that gives the port connects from outside
HealthPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65_535,
        help="Port of /livez, /readyz and /metrics; 0 for none. [default: HUB_HEALTH_PORT, or 0]",
    ),
]
HealthHost = Annotated[str | None, typer.Option(help="Address of the health port. [default: HUB_HOST, or 127.0.0.1]")]


def web(
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; 0 takes a free one. [default: HUB_PORT, or PORT, or 8000]"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Answer requests: accept events, and serve the API and the live stream.

    Needs a `redis://` store. Start two or more behind a load balancer, so that requests are answered while one of them
    restarts. `WEB_CONCURRENCY` starts several processes on one port, to use several processors.
    """
    platform = load(Platform)
    settings = with_platform_port(platform, load_settings(host=host, port=port, data_dir=data_dir))
    run_roles(settings, frozenset({Role.WEB}), processes=platform.web_concurrency)


def worker(host: HealthHost = None, health_port: HealthPort = None, data_dir: DataDir = None) -> None:
    """Deliver events to their targets.

    Needs a `redis://` store. Start two or more, on any machines: they share the work, and take over from one that dies.
    Start another one when deliveries wait although their targets are well.
    """
    run_roles(load_settings(host=host, health_port=health_port, data_dir=data_dir), frozenset({Role.WORKER}))


def scheduler(host: HealthHost = None, health_port: HealthPort = None, data_dir: DataDir = None) -> None:
    """Run the schedules: retention, trimming of the feed, and other housekeeping.

    Needs a `redis://` store. Start two: one of them leads, and the other takes over when it ends.
    """
    run_roles(load_settings(host=host, health_port=health_port, data_dir=data_dir), frozenset({Role.SCHEDULER}))


def with_platform_port(platform: Platform, settings: Settings) -> Settings:
    """The settings, with the port that the platform gives unless they name one themselves."""
    if platform.port is None or "port" in settings.model_fields_set:
        return settings
    host = settings.host if "host" in settings.model_fields_set else EVERYWHERE
    return settings.model_copy(update={"host": host, "port": platform.port})
