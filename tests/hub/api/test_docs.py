"""The page `/docs` comes from the hub whole, and lets in nothing from elsewhere."""

import re

import pytest

from tests.api_support import Api


async def test_the_page_loads_nothing_from_elsewhere_and_has_no_inline_script(api: Api) -> None:
    page = await api.client(None).get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?:|<script>|<style| style=| on\w+=", page.text)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_what_the_page_loads_is_there_beside_it(api: Api) -> None:
    page = (await api.client(None).get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 4
    for place in loaded:
        # Relative, so that it is found under any prefix that a proxy adds.
        assert not place.startswith("/")
        answer = await api.client(None).get(f"/{place}")
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
        assert answer.content


async def test_the_script_of_the_page_opens_the_document_beside_it(api: Api) -> None:
    script = await api.client(None).get("/docs/start.js")
    assert script.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert 'url: "openapi.json"' in script.text


@pytest.mark.parametrize("path", ["/docs/__init__.py", "/docs/../pyproject.toml", "/redoc", "/docs/oauth2-redirect"])
async def test_nothing_else_is_served(api: Api, path: str) -> None:
    assert (await api.client(None).get(path)).status_code == 404
