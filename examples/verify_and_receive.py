"""A receiver of webhooks that verifies each one, keeps it once, answers at once, and works afterwards.

Run it beside a hub that may send to this machine (`HUB_ALLOW_PRIVATE_TARGETS=127.0.0.0/8 make run`), and subscribe it:

    export HUB_KEY=$(cat var/admin.key)
    curl -sS http://127.0.0.1:8000/v1/subscriptions -H "Authorization: Bearer $HUB_KEY" --json '{"name": "example",
        "event_types": ["*"], "channel": "webhook", "target": {"url": "http://127.0.0.1:9000/hooks"}}'

    export WEBHOOK_SECRET=whsec_…   # from GET /v1/subscriptions/{id}/secret
    uvicorn examples.verify_and_receive:app --port 9000
"""

import asyncio
import json
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

log = logging.getLogger("uvicorn.error")


class Inbox:
    """Webhooks by their id, in one SQLite file, so that a restart forgets neither what came nor what is done."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB NOT NULL, handled INTEGER DEFAULT 0)"
            )

    def keep(self, webhook_id: str, body: bytes) -> bool:
        """Keep a webhook; false when it came before, because the hub delivers at least once."""
        with closing(sqlite3.connect(self._path)) as database, database:
            kept = database.execute("INSERT OR IGNORE INTO inbox (id, body) VALUES (?, ?)", (webhook_id, body))
            return kept.rowcount == 1

    def waiting(self) -> list[tuple[str, bytes]]:
        """Id and body of those that are not handled, in the order in which they came."""
        with closing(sqlite3.connect(self._path)) as database:
            return database.execute("SELECT id, body FROM inbox WHERE NOT handled ORDER BY rowid").fetchall()

    def mark_handled(self, webhook_id: str) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.execute("UPDATE inbox SET handled = 1 WHERE id = ?", (webhook_id,))


async def handle(webhook_id: str, event: dict[str, Any]) -> None:
    """The receiver's own work, which may take longer than the hub waits for an answer."""
    log.info("handled %s %s %s", webhook_id, event["type"], json.dumps(event["data"]))


async def work(inbox: Inbox, arrived: asyncio.Event) -> None:
    """Handle what waits, first what an earlier run left behind."""
    while True:
        for webhook_id, body in await asyncio.to_thread(inbox.waiting):
            try:
                await handle(webhook_id, json.loads(body))
            except Exception:
                # One that cannot be handled must not stop the others.
                log.exception("%s is not handled and stays in the inbox", webhook_id)
            else:
                await asyncio.to_thread(inbox.mark_handled, webhook_id)
        await arrived.wait()
        arrived.clear()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    app.state.inbox = Inbox(Path(os.environ.get("INBOX", "inbox.db")))
    app.state.arrived = asyncio.Event()
    worker = asyncio.create_task(work(app.state.inbox, app.state.arrived))
    yield
    worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker


app = FastAPI(title="Receiver", lifespan=lifespan)


@app.post("/hooks", status_code=204)
async def receive(request: Request) -> None:
    """Answer as soon as the webhook is on disk. Whatever else is answered, the hub tries again later."""
    state, body = request.app.state, await request.body()
    try:
        # The signature is over the bytes as they came, so it is checked before they are parsed.
        state.webhook.verify(body, dict(request.headers))
    except WebhookVerificationError as error:
        raise HTTPException(401, "The signature is not the hub's.") from error
    if await asyncio.to_thread(state.inbox.keep, request.headers["webhook-id"], body):
        state.arrived.set()
