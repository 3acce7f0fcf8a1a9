// Uses the types of a hub: publishes, lists in pages, subscribes, patches. Prints what it saw as one line of JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./hub";

const hub = createClient<paths>({
  baseUrl: process.env["HUB_URL"]!,
  headers: { Authorization: `Bearer ${process.env["HUB_KEY"]}` },
});
const order = { order_id: "o-1", total: "1.00", currency: "EUR", customer: { email: "ada@example.com" }, items: [] };

function taken<T>(answer: { data?: T; error?: components["schemas"]["Problem"] }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const one = taken(await hub.POST("/v1/events", { body: { type: "order.created", data: order } }));
const batch = taken(
  await hub.POST("/v1/events/batch", {
    body: [
      { type: "order.paid", data: order },
      { type: "no type", data: 1 },
    ],
  }),
);
const ofOrder = taken(
  await hub.POST("/v1/orders/{order_id}/events", {
    params: { path: { order_id: "o-2" }, header: { "Idempotency-Key": "once" } },
    body: { type: "order.paid", data: { ...order, order_id: "o-2" } },
  }),
);
const event = taken(await hub.GET("/v1/events/{event_id}", { params: { path: { event_id: ofOrder.id } } }));

const types: string[] = [];
let cursor: string | null = null;
do {
  const query: { limit: number; cursor?: string } = { limit: 2, ...(cursor === null ? {} : { cursor }) };
  const page: components["schemas"]["EventList"] = taken(await hub.GET("/v1/events", { params: { query } }));
  types.push(...page.items.map((item) => item.type));
  cursor = page.next_cursor;
} while (cursor !== null);

const made = taken(
  await hub.POST("/v1/subscriptions", {
    body: { name: "a", event_types: ["stock.*"], channel: "webhook", target: { url: "https://example.com/hooks" } },
  }),
);
const patched = taken(
  await hub.PATCH("/v1/subscriptions/{subscription_id}", {
    params: { path: { subscription_id: made.id } },
    body: { name: "b", max_in_flight: 3, timeout: null },
  }),
);
// Told apart by `channel`: each target has a type of its own.
const url = patched.channel === "webhook" ? patched.target.url : null;
const missing = await hub.GET("/v1/events/{event_id}", { params: { path: { event_id: "evt_none" } } });

console.log(
  JSON.stringify({
    published: one.status,
    batch: batch.items.map((item) => item.status),
    subject: event.subject,
    listed: types,
    patched: [patched.name, patched.max_in_flight, patched.timeout, url],
    missing: missing.error?.title,
  }),
);
