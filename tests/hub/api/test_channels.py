"""Operators ask the hub whether its channels could send."""

from tests.api_support import Api


async def test_a_channel_that_is_not_set_up_is_told(api: Api) -> None:
    mail = await api.subscribe(channel="email", target={"to": ["ada@example.com"]})
    answer = (await api.admin.post("/v1/channels/check")).raise_for_status().json()
    found = {item["kind"]: item for item in answer["items"]}
    assert {"email", "file", "slack", "webhook"} <= found.keys()
    (problem,) = found["email"]["problems"]
    assert (found["email"]["subscriptions"], problem["subscription_id"]) == (1, mail["id"])
    assert problem["detail"] == "mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"
    assert found["webhook"]["problems"] == []


async def test_it_is_for_operators(api: Api) -> None:
    manager = await api.holder("manage", "read")
    assert (await manager.post("/v1/channels/check")).status_code == 403
