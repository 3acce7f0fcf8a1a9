"""The settings as commands read them: what is wrong with one is a sentence that names it."""

from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from hub.cli.client import ClientError
from hub.errors import Fault
from hub.settings import Settings
from hub.validation import pydantic_faults

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def load_settings(**overrides: Any) -> Settings:
    """The settings; overrides that are None are left out. Raises `ClientError` in one line where a setting is wrong."""
    return load(Settings, **overrides)


def load(kind: type[SettingsT], **overrides: Any) -> SettingsT:
    """Settings of this kind, as `load_settings` gives them."""
    prefix = kind.model_config.get("env_prefix", "")
    try:
        return kind(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        wrong = "; ".join(_named(fault, prefix) for fault in pydantic_faults(error))
        raise ClientError(f"A setting is wrong: {wrong}.") from None
    except ValueError as error:
        raise ClientError(f"The settings file cannot be read: {error}.") from None
    except OSError as error:
        raise ClientError(f"The settings file {error.filename} cannot be read: {error.strerror}.") from None


def _named(fault: Fault, prefix: str) -> str:
    """The fault with the name of its setting; one that has no place names the setting itself."""
    return f"{prefix}{fault.pointer.split('/')[1].upper()}: {fault.detail}" if fault.pointer else fault.detail
