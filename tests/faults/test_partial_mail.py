"""Drill: the process dies right after an attempt that reached some of the recipients of a mail."""

from pathlib import Path

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.conftest import HubFactory
from tests.faults.patience import until
from tests.faults.publisher import Publisher
from tests.smtp import MailServer

TARGET = {"to": ["ann@example.com", "bob@example.com"], "cc": ["eve@example.com"]}


async def test_those_who_have_the_mail_get_no_second_one_after_a_crash(hub_factory: HubFactory, tmp_path: Path) -> None:
    """Red when who has the mail is written in another commit than the attempt, or not at all."""
    async with MailServer() as server:
        server.refusals = {"bob@example.com": "452 4.2.2 Mailbox full"}
        hub = hub_factory(smtp_url=server.url, email_from="hub@example.com")
        await hub.start(failpoints="after_finish:kill")
        async with Publisher(hub, tmp_path / "acked.jsonl") as publisher:
            async with hub.client() as api:
                spec = {"name": "mail", "event_types": ["*"], "channel": "email", "target": TARGET}
                made = await api.post("/v1/subscriptions", json={**spec, "retry_schedule": [0.5] * 20})
            assert made.status_code == 201, made.text
            await publisher.publish("drill.mail")
        await hub.one_died(PATIENCE_SECONDS)
        assert [mail.recipients for mail in server.mails] == [("ann@example.com", "eve@example.com")]
        server.refusals = {}
        await hub.start()

        async def delivered() -> bool:
            async with hub.client() as api:
                answer = (await api.get("/v1/deliveries", params={"status": "delivered"})).raise_for_status()
            return len(answer.json()["items"]) == 1

        await until(delivered, PATIENCE_SECONDS)
    assert [mail.recipients for mail in server.mails[1:]] == [("bob@example.com",)]
