"""The operator's settings: `HUB_…` environment variables over a TOML file, read once and passed down as values."""

import ipaddress
import os
import re
import string
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

DAY_SECONDS = 86_400.0
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
"""As browsers send it (RFC 6454, 6.2), in lower case. Applications that show web pages have schemes of their own."""
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_DEFAULT_PORT = re.compile(r"(?<=^http)(://.+):80$|(?<=^https)(://.+):443$")
_LISTS = frozenset({"allow_private_targets", "cors_origins"})
"""Settings with several values, which may stand on lines of their own."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
KEY_LENGTH = 32
"""The fewest characters of a key of the operator."""
_OF_COMMANDS = frozenset({"url", "key", "config", "copy_from", "copy_to"})
_KEYS = frozenset({"admin_key", "secret_key", "previous_secret_key"})


# What files, editors and `echo` add around a value is taken off by two rules, which differ in rare characters. The rule
# of keys for settings would let pass control characters at an end, which are refused wherever they stand. The rule of
# settings for keys would make another key of one that was given or kept with such an end, and what an earlier version
# sealed with it could not be read.


def bare_key(text: object) -> object:
    """A key without the byte order mark and everything around it that Unicode counts as white space, control characters
    among it. This must never change: secrets are sealed with the result."""
    return text.strip().strip("\ufeff").strip() if isinstance(text, str) else text


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def bare_setting(text: str) -> str:
    """A setting without the byte order marks, blanks and line breaks of ASCII, and no-break spaces around it."""
    return text.strip(f"{string.whitespace}\ufeff\u00a0")


OperatorKey = Annotated[SecretStr, BeforeValidator(bare_key), Field(min_length=KEY_LENGTH)]


def _checked_key(key: SecretStr) -> SecretStr:
    if len(str(bare_key(key.get_secret_value()))) < KEY_LENGTH:
        raise ValueError(f"must have at least {KEY_LENGTH} characters")
    return key


SecretKey = Annotated[SecretStr, AfterValidator(_checked_key)]
"""Kept as it was given: earlier versions sealed with the white space around it. See `hub.cluster.operator_secrets`."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(BaseSettings):
    """Every setting of the hub itself; what channels read beyond these is in `channel_options`.

    The TOML file is `hub.toml` in the working directory, or the file that `HUB_CONFIG` names. An argument comes before
    the environment, and the environment before the file. Raises `ValidationError`, which shows no value.

    Example:

        settings = Settings(data_dir=Path("/var/lib/hub"), max_in_flight=64)
        settings.store_url  # sqlite:////var/lib/hub/hub.db
    """

    model_config = SettingsConfigDict(
        env_prefix="HUB_", extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    data_dir: Path = Path("var")
    store_url: str = ""
    """Where everything is kept; by default `sqlite:///<data_dir>/hub.db`."""
    redis_wait_replicas: int = Field(default=0, ge=0, le=100)
    """A publish is answered only when this number of replicas has it."""
    redis_wait_timeout: Seconds = Field(default=1.0, le=60.0)
    """Seconds to wait for them; after that the publish is answered 503."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    """0 takes a free one."""
    root_path: str = ""
    """The prefix under which a proxy shows the hub, such as `/hub`, whether or not the proxy cuts it off."""
    health_port: int = Field(default=0, ge=0, le=65_535)
    """The port on which a worker or scheduler answers /livez, /readyz and /metrics; 0 for none."""
    admin_key: OperatorKey | None = None
    """Unless it is set, it is generated at the first start, shown once and kept in `<data_dir>/admin.key`."""
    secret_key: SecretKey | None = None
    """Encrypts stored secrets. Unless it is set, it is generated at the first start and kept in
    `<data_dir>/secret.key`."""
    previous_secret_key: SecretKey | None = None
    """What stored secrets may still be sealed with, until `hub secrets rotate` has sealed them with `secret_key`."""
    allow_private_targets: Annotated[tuple[Network, ...], NoDecode] = ()
    """Comma-separated CIDR ranges that targets may have although they are not public."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated origins, such as `https://app.example.com`, whose pages may use the API in a browser."""
    sandbox: bool = False
    """Everything runs but sending: each attempt ends as succeeded, and nothing leaves the machine."""
    strict_types: bool = False
    """Refuse event types that are neither built in nor registered."""

    max_body_bytes: int = Field(default=262_144, ge=1_024, le=64 * 1024 * 1024)
    """One request to publish, or one event of a batch."""
    max_batch_bytes: int = Field(default=8 * 1024 * 1024, ge=1_024, le=256 * 1024 * 1024)
    buffer_bytes: int = Field(default=128 * 1024 * 1024, ge=16 * 1024 * 1024)
    """Of bodies, answers and entries of the stream that wait in the memory of a process; at least four batches."""
    max_batch_events: int = Field(default=1_000, ge=1, le=10_000)
    fanout_inline_max: int = Field(default=500, ge=1)
    """How many deliveries a request to publish makes at most in its own commit, over all its events. Events whose
    deliveries do not fit are expanded in the background."""

    max_in_flight: int = Field(default=256, ge=1, le=10_000)
    """Attempts under way at once, over all subscriptions."""
    attempt_timeout: Seconds = Field(default=15.0, le=30.0)
    lease: float = Field(default=30.0, ge=2.0, le=3_600.0)
    """How long the work of a worker that died waits until another takes it over."""
    shutdown_grace: Seconds = 10.0
    """How long attempts under way may go on after SIGTERM."""

    retention: Seconds = 30 * DAY_SECONDS
    """Age at which events, with their deliveries and attempts, are removed."""
    feed_retention: Seconds = 3 * DAY_SECONDS
    feed_keep: int = Field(default=1_000_000, ge=1_000)
    """How many feed entries are kept at most, whatever their age."""
    temp_retention: Seconds = DAY_SECONDS
    """Age at which files in `<data_dir>/tmp` are removed."""

    stream_max_listeners: int = Field(default=2_000, ge=1)
    stream_buffer: int = Field(default=1_000, ge=10)
    """Entries that wait for a slow listener before it is disconnected to resume."""
    stream_heartbeat: Seconds = 15.0
    stream_max_age: Seconds = 600.0

    log_level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)] = "info"
    log_format: Literal["json", "console", "auto"] = "auto"
    """`json`, `console`, or `auto`: `console` on a terminal and `json` elsewhere."""
    access_log: Path | None = None
    """A file that gets a line of JSON for each request, beside the log; rotated at 50 MiB, with nine older files."""
    otlp_endpoint: str = ""
    """An OpenTelemetry collector's OTLP/HTTP address, such as `http://localhost:4318`; empty: no tracing."""
    failpoints: str = ""
    """Crashes on purpose, for fault drills: `after_accept:kill,after_2xx:kill`."""
    channel_options: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """Every `HUB_` setting as text by lower-case name, from which each channel takes its own."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = settings_file()
        if os.environ.get("HUB_CONFIG") and not file.is_file():
            raise ValueError(f"HUB_CONFIG names {file.absolute()}, and there is no such file")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @field_validator("allow_private_targets", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_send_it(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        origins = tuple(value.lower().removesuffix("/") for value in values)
        if not all(map(_ORIGIN.fullmatch, origins)):
            raise ValueError("must be origins such as https://app.example.com, each by its name and without a path")
        return tuple(_DEFAULT_PORT.sub(r"\1\2", origin) for origin in origins)

    @field_validator("root_path")
    @classmethod
    def _without_end(cls, value: str) -> str:
        if not _PREFIX.fullmatch(path := value.rstrip("/")):
            raise ValueError("must be a path such as /hub")
        return path

    @model_validator(mode="before")
    @classmethod
    def _collect_options(cls, values: dict[str, object]) -> dict[str, object]:
        # From the environment itself, because a channel that is installed later brings settings of which nothing here
        # knows.
        there = {k.removeprefix("HUB_").lower(): v for k, v in os.environ.items() if k.startswith("HUB_")}
        given = {k: v for k, v in there.items() if v}
        from_file = {k: str(v) for k, v in values.items() if isinstance(v, str | int | float)}
        named = values.get("channel_options")
        chosen = named if isinstance(named, Mapping) else {}
        # A channel may be code of others, and none needs the keys of the hub.
        options = {k: v for k, v in {**from_file, **given, **chosen}.items() if k not in _KEYS}
        # Other empty variables count as not set. An empty key is refused: its operator believes that there is one.
        blank = {name: "" for name in _KEYS & there.keys() if name not in values}
        return {**blank, **_single_lines(values), "channel_options": _single_lines(options)}

    @model_validator(mode="after")
    def _default_store(self) -> "Settings":
        if not self.store_url:
            # The model is frozen, and this default depends on another setting.
            object.__setattr__(self, "store_url", f"sqlite:///{self.data_dir / 'hub.db'}")
        return self


def _single_lines(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their texts stripped, and without those that are blank, which count as not set.

    Files and shells add line breaks, spaces and byte order marks around a value. Raises `PydanticCustomError` for a
    control character inside of one, because it would break the request that the value goes into.
    """
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        text = bare_setting(value) if isinstance(value, str) else value
        if isinstance(text, str) and name not in _LISTS and _CONTROL.search(text):
            raise PydanticCustomError(
                "control_character",
                "HUB_{name} contains a line break or another control character",
                {"name": name.upper()},
            )
        if name in _KEYS:
            # Stripped by their own rules, and refused where they are blank, which is not the same as none.
            cleaned[name] = value
        elif text != "":
            cleaned[name] = text
    return cleaned


class Platform(BaseSettings):
    """What platforms that run a `Procfile` set by themselves."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    port: int | None = Field(default=None, ge=0, le=65_535)
    """The port to listen on, on all addresses, unless the hub's own settings name one."""
    web_concurrency: int = Field(default=1, ge=1, le=256)
    """How many processes answer requests."""


def settings_file() -> Path:
    """The TOML file, whether or not it exists."""
    return Path(os.environ.get("HUB_CONFIG") or "hub.toml")


def unknown_settings(option_names: Iterable[str]) -> Sequence[tuple[str, str | None]]:
    """Names in the environment and in the settings file that nothing reads, each with the one that was probably meant.

    `option_names` are what channels read, in lower case. Commands read some of the environment alone.
    """
    known = {*Settings.model_fields, *option_names} - {"channel_options"}
    in_environment = {name.lower().removeprefix("hub_") for name in os.environ if name.lower().startswith("hub_")}
    unknown = [(f"HUB_{name.upper()}", "HUB_{}", name) for name in in_environment - known - _OF_COMMANDS]
    file = settings_file()
    if file.is_file():
        in_file = tomllib.loads(file.read_text())
        unknown += [
            (f"{f'[{name}]' if isinstance(in_file[name], dict) else name} in {file.name}", "{}", name)
            for name in in_file.keys() - known
        ]
    return [(shown, _meant(name, known, form)) for shown, form, name in sorted(unknown)]


def _meant(name: str, known: Iterable[str], form: str) -> str | None:
    close = get_close_matches(name.lower().removeprefix("hub_"), sorted(known), n=1)
    if not close:
        return None
    return form.format(close[0].upper() if form.startswith("HUB_") else close[0])


def read_key(path: Path) -> str:
    """The key that a file of the data directory holds.

    Raises `ValueError`, which says what to do, when it is blank, too short or not text, and `OSError`.
    """
    try:
        key = str(bare_key(path.read_text(encoding="utf-8")))
        seen = f"has only {len(key)} characters" if key else "is blank"
    except UnicodeDecodeError:
        key, seen = "", "is not text"
    if len(key) < KEY_LENGTH:
        raise ValueError(
            f"The key in {path} {seen}; it must have {KEY_LENGTH} or more. Restore the file from a backup, or set"
            f" HUB_{path.name.partition('.')[0].upper()}_KEY."
        )
    return key
