// Prints, a line of JSON each, what the npm package `eventsource` hears of the stream at the address that it is given.
import { EventSource } from "eventsource";

const say = (what) => console.log(JSON.stringify(what));
const stream = new EventSource(process.argv[2]);
stream.onopen = () => say({ opened: true });
stream.onerror = () => say({ error: stream.readyState });
stream.addEventListener("event.accepted", (event) => say({ heard: JSON.parse(event.data).id }));
