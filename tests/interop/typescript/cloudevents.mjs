// Publishes CloudEvents with the official SDK for JavaScript, in the mode that is named, and prints what the hub answers.
import { CloudEvent, emitterFor, httpTransport, Mode } from "cloudevents";

const { HUB_URL, HUB_KEY } = process.env;
const order = { order_id: "1001", total: "12.50", customer: { name: "Zoë 🍵" } };
const events = [
  { id: "1", type: "order.created", data: order, subject: "orders/1001", shopregionofthewholesale: "eu" },
  { id: "2", type: "com.example.note/v1", datacontenttype: "text/plain", data: 'a "b" \n' },
  { id: "3", type: "com.example.note/v1", datacontenttype: "application/xml", data: "<a/>" },
  { id: "4", type: "com.example.note/v1", datacontenttype: "application/octet-stream", data: new Uint8Array([0, 255]) },
];

// Without a mode, the SDK chooses.
const mode = process.argv[2] === "default" ? {} : { mode: Mode[process.argv[2]] };
const emit = emitterFor(httpTransport(`${HUB_URL}/v1/events`), mode);
const answers = [];
for (const members of events) {
  const event = new CloudEvent({ source: `/js/${process.argv[2]}`, ...members });
  const { body } = await emit(event, { headers: { Authorization: `Bearer ${HUB_KEY}` } });
  answers.push(JSON.parse(body));
}
console.log(JSON.stringify(answers));
