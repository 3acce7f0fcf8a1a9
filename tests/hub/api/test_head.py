"""HEAD is answered as GET is, without the body, and ends what GET would go on sending."""

from pathlib import Path

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.api_support import Api
from tests.plain_http import NO_TLS
from tests.serving import serving


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/openapi.json", "/docs", "/v1/events?limit=1", "/v1/stats"])
async def test_the_head_is_that_of_get(api: Api, path: str) -> None:
    same = {"X-Request-ID": "r-1"}
    head, get = await api.admin.head(path, headers=same), await api.admin.get(path, headers=same)
    assert (head.status_code, head.headers) == (200, get.headers)
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(get.content) > 0


async def test_an_error_is_answered_without_its_problem(api: Api) -> None:
    for path, status in (("/v1/events", 401), ("/v1/nothing", 404), ("/v1/stream-tickets", 405)):
        answer = await api.client(None).head(path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_live_stream_ends_after_its_head(api: Api) -> None:
    async with patience():
        answer = await api.admin.head("/v1/stream")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert api.services.stream.listeners == 0


def test_a_connection_goes_on_after_an_answer_to_head(tmp_path: Path) -> None:
    with serving(tmp_path) as hub, httpx.Client(base_url=hub.url, verify=NO_TLS, trust_env=False) as client:
        for path in ("/livez", "/metrics", "/livez"):
            assert client.head(path, timeout=PATIENCE_SECONDS).status_code == 200
            assert client.get(path, timeout=PATIENCE_SECONDS).text
