"""JSON bodies of the routes that take a model: read as strictly as events are."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from hub.api.access import RequireScope
from hub.errors import UnsupportedMedia
from hub.media_types import JSON, media_type
from hub.publishing.rawjson import parse


class JsonRoute(APIRoute):
    """Reads UTF-8 JSON, also without a media type, once the key is looked at, where the route asks for one.

    It refuses NaN, lone surrogates and very deep nesting: the hub could not show them again.

    Use as `APIRouter(route_class=JsonRoute)`. Its routes also answer 400, and 415 for a body of another media type.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        # What is called nothing is JSON when it parses as JSON, here as on the routes that publish.
        self.strict_content_type = False
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        guards = [*_guards(self.dependant)]

        async def read_and_handle(request: Request) -> Response:
            # Before a byte is read: the framework looks at it only when it has the body.
            for guard in guards:
                await guard(request)
            strict = _JsonRequest(request.scope, request.receive)
            await strict.read()
            return await handle(strict)

        return read_and_handle


def _guards(dependant: Dependant) -> Iterator[RequireScope]:
    """The dependencies of a route that look at the key."""
    for inner in dependant.dependencies:
        if isinstance(inner.call, RequireScope):
            yield inner.call
        yield from _guards(inner)


class _JsonRequest(Request):
    _value: Any = None

    async def read(self) -> None:
        body = await self.body()
        if not body:
            return
        media = media_type(self.headers.get("content-type")) or JSON
        if media != JSON and not (media.startswith("application/") and media.endswith("+json")):
            raise UnsupportedMedia("Send a JSON body, as application/json.")
        self._value = parse(body)

    async def json(self) -> Any:
        # The framework reads a body through this method, so its own parser, which allows NaN, never sees one.
        return self._value
