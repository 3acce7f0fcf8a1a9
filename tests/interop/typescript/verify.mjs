// Verifies one webhook, given as JSON on standard input, with the Standard Webhooks library for JavaScript.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
new Webhook(secret).verify(body, headers);
