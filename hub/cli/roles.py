"""`hub web`, `hub worker` and `hub scheduler`: one role a process, any number of each, over one shared store."""

from typing import Annotated

import typer

from hub.cli.serve import DataDir, Host, load, load_settings, play
from hub.cluster.roles import Role
from hub.settings import Platform, Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - where a platform says on which port, it is the platform who connects
HealthPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65_535,
        help="Port that says how it is: /livez, /readyz, /metrics; 0 for none. [default: HUB_HEALTH_PORT, or 0]",
    ),
]
HealthHost = Annotated[str | None, typer.Option(help="Its address. [default: HUB_HOST, or 127.0.0.1]")]


def web(
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; 0 takes a free one. [default: HUB_PORT, or PORT, or 8000]"),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """AcceptResult requests; in WEB_CONCURRENCY processes, if that is set."""
    platform = load(Platform)
    settings = placed_by(platform, load_settings(host=host, port=port, data_dir=data_dir))
    play(settings, frozenset({Role.WEB}), processes=platform.web_concurrency)


def worker(host: HealthHost = None, health_port: HealthPort = None, data_dir: DataDir = None) -> None:
    """Deliver."""
    play(load_settings(host=host, health_port=health_port, data_dir=data_dir), frozenset({Role.WORKER}))


def scheduler(host: HealthHost = None, health_port: HealthPort = None, data_dir: DataDir = None) -> None:
    """Keep house; of several one does, and another goes on when it ends."""
    play(load_settings(host=host, health_port=health_port, data_dir=data_dir), frozenset({Role.SCHEDULER}))


def placed_by(platform: Platform, settings: Settings) -> Settings:
    """The settings, listening where the platform says as far as they do not say so themselves."""
    if platform.port is None or "port" in settings.model_fields_set:
        return settings
    host = settings.host if "host" in settings.model_fields_set else EVERYWHERE
    return settings.model_copy(update={"host": host, "port": platform.port})
