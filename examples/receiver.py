"""A receiver of webhooks with the standard library alone: it verifies each one, prints it, and answers 204.

    export WEBHOOK_SECRET=whsec_…   # from GET /v1/subscriptions/{id}/secret
    python -m examples.receiver     # listens on http://127.0.0.1:9000; another port as the first argument

It shows what a receiver has to check (https://www.standardwebhooks.com). `examples.verify_and_receive` is one to build
on: it also keeps what came, and handles it once.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 5 * 60
"""An older signature may be one that was recorded and is sent again."""


def is_signed(body: bytes, headers: Mapping[str, str], secret: str, now: float) -> bool:
    """Whether the hub made this webhook, with this secret, within the last minutes; names of headers in lower case."""
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    # Over the bytes as they came: JSON that was parsed and written again is another text.
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = f"v1,{base64.b64encode(digest).decode()}"
    # There are several, while a secret is being rotated.
    signatures = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in signatures)


class Receiver(BaseHTTPRequestHandler):
    secret = ""
    seen: set[str] = set()  # noqa: RUF012 - one for all requests

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_signed(body, headers, self.secret, time.time()):  # noqa: TID251 - a program of its own
            self._answer(401, "refused: the signature is not the hub's")
            return
        event, webhook_id = json.loads(body), self.headers["webhook-id"]
        # The hub delivers at least once, and a repetition has the same id.
        again = " (again)" if webhook_id in self.seen else ""
        self.seen.add(webhook_id)
        self._answer(204, f"verified: {event['type']} {webhook_id}{again} {json.dumps(event['data'])}")

    def _answer(self, status: int, line: str) -> None:
        print(line, flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The lines above say enough."""


if __name__ == "__main__":
    try:
        Receiver.secret = os.environ["WEBHOOK_SECRET"]
    except KeyError:
        sys.exit("Set WEBHOOK_SECRET to the secret of the subscription.")
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 9000), Receiver) as server:
        print(f"Receiving on http://127.0.0.1:{server.server_port}/hooks", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Stopped.")
