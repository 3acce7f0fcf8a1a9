"""A thin client of the HTTP API: one call, one answer, and each failure a sentence that a person can act on."""

import ipaddress
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from hub.media_types import JSON

Query = Mapping[str, str | list[str] | None]


class ClientError(Exception):
    """A call failed: `str()` says in one line what is wrong and what to do."""


class Unreachable(ClientError):
    """There was no answer: the hub is not running, not there, or the connection broke."""


class Refused(ClientError):
    """The hub answered with a problem."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class HubClient:
    """Calls one hub with one key. Use it as a context manager, which closes its connections.

    Example:

        with HubClient("http://127.0.0.1:8000", key) as hub:
            accepted = hub.post("/v1/events", b'{"type": "stock.low", "data": {"sku": "A-1"}}')
            event = hub.get(f"/v1/events/{accepted['id']}")

    Raises `Unreachable` and `Refused`; never retries.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        if _host(url) is None:
            raise ClientError("The hub's address must look like http://127.0.0.1:8000; give --url or set HUB_URL.")
        self.url = url.rstrip("/")
        if key and not (key.isascii() and key.isprintable()):
            raise ClientError("The key has characters that a key never has; check --key and HUB_KEY.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout
        # Without the proxies of the environment, which would be shown the key.
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, params: Query | None = None) -> Any:
        """The JSON at `path`."""
        return self._call("GET", path, params=_given(params or {}))

    def post(self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Post the JSON text `body`; gives the JSON of the answer, None where it is empty."""
        return self._call("POST", path, content=body, headers={"Content-Type": JSON, **(headers or {})})

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def probe(self, path: str) -> httpx.Response:
        """The answer at `path`, whatever its status. Raises `Unreachable` only."""
        with self._reachable():
            return self._http.get(path)

    @contextmanager
    def stream(
        self, path: str, params: Query, headers: Mapping[str, str], read_timeout: float
    ) -> Iterator[httpx.Response]:
        """An open event stream. Reading it raises `Unreachable` after `read_timeout` seconds of silence."""
        timeout = httpx.Timeout(self._timeout, read=read_timeout)
        with (
            self._reachable(),
            self._http.stream("GET", path, params=_given(params), headers=headers, timeout=timeout) as response,
        ):
            if response.is_error:
                response.read()
                raise _refusal(response)
            # Another server at this address, or a proxy, may answer 200 with a page of its own.
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                raise self._not_a_hub(response)
            yield response

    def _call(self, method: str, path: str, **request: Any) -> Any:
        with self._reachable():
            response = self._http.request(method, path, **request)
        if not response.is_success:
            raise _refusal(response)
        try:
            return response.json() if response.content else None
        except ValueError:
            raise self._not_a_hub(response) from None

    def _not_a_hub(self, response: httpx.Response) -> Refused:
        return Refused(f"What answers at {self.url} is not a hub.", response.status_code)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError:
            raise Unreachable(f"No hub answers at {self.url}; start one with `hub serve`, or give --url.") from None
        except httpx.TimeoutException:
            raise Unreachable(f"The hub at {self.url} did not answer in time; is it overloaded or stopped?") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"The connection to the hub at {self.url} broke ({type(error).__name__}).") from None


def is_local(url: str) -> bool:
    """Whether the URL names this machine (`localhost` or a loopback address), without asking a resolver."""
    host = _host(url)
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


def _host(url: str) -> str | None:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    return parts.host if parts.scheme in {"http", "https"} and parts.host else None


def _given(params: Query) -> dict[str, str | list[str]]:
    return {name: value for name, value in params.items() if value}


def _refusal(response: httpx.Response) -> Refused:
    """An RFC 9457 problem as one line; anything else as its status."""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED and "Authorization" not in response.request.headers:
        return Refused(f"The hub needs a key: give --key or set HUB_KEY. [{status}]", status)
    try:
        problem = json.loads(response.content)
        detail = str(problem["detail"])
        faults = [f"{fault['pointer']}: {fault['detail']}" for fault in problem.get("errors") or ()]
    except (ValueError, TypeError, KeyError):
        return Refused(f"The hub answered {status} {response.reason_phrase}.", status)
    if status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE} and "Retry-After" in response.headers:
        faults.append(f"try again in {response.headers['Retry-After']} s")
    line = " ".join([detail, *([f"({'; '.join(faults)})"] if faults else [])])
    return Refused(f"{line.replace(chr(10), ' ')} [{status}]", status)
