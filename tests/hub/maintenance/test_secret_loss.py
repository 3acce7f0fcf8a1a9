"""A hub whose secret key is lost starts again, holds what it cannot send, and sends it once the secrets are set."""

from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.cluster.roles import Role
from hub.errors import Conflict, HubError
from hub.maintenance.secret_loss import adopt
from hub.testing.receivers import Receiver
from tests.api_support import open_api, pointers, settings_for
from tests.hub.runtime.parts import started
from tests.redis_servers import RedisServer


async def test_a_lost_key_has_a_way_out(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    async with Receiver([]) as receiver:
        async with open_api(settings) as api:
            hook = await api.subscribe(channel="webhook", target={"url": f"{receiver.url}/hook"})
            await api.subscribe()
        (settings.data_dir / "secret.key").unlink()
        with pytest.raises(HubError, match="hub secrets adopt"):
            async with open_api(settings):
                pass

        assert await adopt(settings, SystemClock()) == (2, 1)
        async with open_api(settings) as api:
            path = f"/v1/subscriptions/{hook['id']}"
            await api.publish()
            assert [one["channel"] for one in await api.deliveries("delivered")] == ["file"]
            (held,) = await api.deliveries("held")
            assert "its secrets cannot be decrypted" in held["reason"]
            assert (await api.admin.get(path)).json()["missing_secrets"] == ["/target/secret"]
            (problem,) = [
                problem for one in (await api.admin.post("/v1/channels/check")).json()["items"]
                for problem in one["problems"]
            ]  # fmt: skip
            assert problem["subscription_id"] == hook["id"]

            # Nothing that a person changes elsewhere in it loses the secret, or makes up another one.
            assert (await api.admin.get(f"{path}/secret")).status_code == 409
            refused = await api.admin.patch(path, json={"name": "other"})
            assert (refused.status_code, pointers(refused)) == (422, ["/target/secret"])
            for switch in ("disable", "enable"):
                assert (await api.admin.post(f"{path}/{switch}")).json()["missing_secrets"] == ["/target/secret"]

            patched = await api.admin.patch(path, json={"target": {"secret": "whsec_" + "c2VjcmV0" * 4}})
            assert patched.json()["missing_secrets"] == []
            await api.deliveries("delivered", 2)
        assert len(receiver.requests) == 1


async def test_while_a_hub_runs_the_key_is_not_lost(valkey: RedisServer, tmp_path: Path) -> None:
    settings = settings_for(tmp_path, store_url=valkey.url())
    async with started(settings, Role.WEB):
        with pytest.raises(Conflict, match="A hub runs"):
            await adopt(settings, SystemClock())


async def test_the_key_that_is_there_can_be_found_again(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path, secret_key="o" * 40)) as api:
        hook = await api.subscribe(channel="webhook", target={"url": "https://example.com"})
        secret = (await api.admin.get(f"/v1/subscriptions/{hook['id']}/secret")).json()
    await adopt(settings_for(tmp_path, secret_key="n" * 40), SystemClock())
    async with open_api(settings_for(tmp_path, secret_key="n" * 40, previous_secret_key="o" * 40)) as api:
        assert (await api.admin.get(f"/v1/subscriptions/{hook['id']}/secret")).json() == secret
