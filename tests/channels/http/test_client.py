"""The client that all channels share: what it trusts, keeps and ignores."""

import gc
import ssl
from importlib.metadata import version

import httpx
import pytest

from channels.base import SendFailed
from channels.http import deliver, open_client
from hub.testing.channels import LOOPBACK
from hub.testing.receivers import Receiver, Reply


def post(port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> httpx.Request:
    return httpx.Request("POST", f"{scheme}://{host}:{port}/canary", content=b"{}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/other", "http://169.254.169.254/latest/meta-data/", "http://[", "x:y"])
async def test_a_redirect_is_an_answer_and_nothing_else(http: httpx.AsyncClient, status: int, location: str) -> None:
    async with Receiver([Reply(status, headers={"Location": location})]) as receiver:
        response = await http.send(post(receiver.port), follow_redirects=True)
    assert response.status_code == status
    assert len(receiver.requests) == 1


async def test_a_cookie_is_not_kept(http: httpx.AsyncClient) -> None:
    async with Receiver([Reply(200, headers={"Set-Cookie": "a=b; Path=/"})]) as receiver:
        for _ in range(2):
            await http.post(receiver.url)
    assert "Cookie" not in receiver.requests[1].headers
    assert not http.cookies


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with open_client(LOOPBACK) as client:
            await deliver(client, post(receiver.port))
    assert (len(proxy.requests), len(receiver.requests)) == (0, 1)


async def test_only_what_the_request_says_is_sent(http: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        await deliver(http, httpx.Request("POST", receiver.url, headers={"x-a": "1"}, content=b"{}"))
    assert {name.lower() for name in receiver.requests[0].headers} == {
        *("host", "x-a", "content-length", "user-agent", "accept-encoding"),
    }
    assert receiver.requests[0].headers["User-Agent"] == f"notification-hub/{version('notification-hub')}"


async def test_without_a_context_the_public_authorities_are_trusted_and_no_private_one(
    server_tls: ssl.SSLContext,
) -> None:
    async with Receiver(tls=server_tls) as receiver, open_client(LOOPBACK) as client:
        with pytest.raises(SendFailed, match="certificate"):
            await deliver(client, post(receiver.port, scheme="https"))


async def test_a_closed_client_leaves_no_connection_open() -> None:
    async with Receiver() as receiver:
        async with open_client(LOOPBACK) as client:
            await deliver(client, post(receiver.port))
        gc.collect()  # an unclosed session would warn here
        with pytest.raises(RuntimeError):
            await deliver(client, post(receiver.port))
