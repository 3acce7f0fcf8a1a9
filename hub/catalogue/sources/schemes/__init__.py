"""The schemes by which senders sign their requests; each is one module of this package, with its kind as name."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping

from hub.catalogue.sources.schemes.base import Announced, Headers, Scheme, Signed

__all__ = ["EVENT_HEADERS", "SCHEMES", "Announced", "Headers", "Scheme", "Signed"]


def _defined_in(name: str) -> list[type[Scheme]]:
    """The schemes of a module that can be used: `base` has none."""
    defined = vars(importlib.import_module(f"{__name__}.{name}")).values()
    kinds = [value for value in defined if inspect.isclass(value) and issubclass(value, Scheme)]
    return [kind for kind in kinds if not inspect.isabstract(kind) and kind.__module__ == f"{__name__}.{name}"]


SCHEMES: Mapping[str, type[Scheme]] = {
    info.name: scheme
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name)
    for scheme in _defined_in(info.name)
}
"""Every scheme by its kind."""
EVENT_HEADERS: Mapping[str, str] = {
    scheme.event_header.lower(): kind for kind, scheme in SCHEMES.items() if scheme.event_header
}
"""The kinds of the schemes that have an `event_header`, by that header in lower case."""
