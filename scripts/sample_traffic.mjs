// A little traffic for `npm start` with simulated upstreams, so that the page at /admin moves from
// the first moment: about two requests a second through several models, and now and then a short
// outage of one Azure region, so that a fallback can be seen. OpenAI stays as it is, for what one
// tries oneself.

import { randomBytes } from "node:crypto";

const MODELS = ["chat", "chat-split", "chat", "chat-cheap", "chat-prod", "chat-split", "embed", "chat-critical", "chat-nearest"];
/** The region that fails, and for how long and how often. */
export const OUTAGE = { upstream: "eastus", fault: "overloaded", for_ms: 10_000, every_ms: 90_000 };

/** With these digits begin the ids of its traces, by which its lines in the log are known. */
const TRACE = "5357595244";

/**
 * Whether a line of the output of `wrangler dev` is about a request of this traffic. wrangler's own
 * lines about requests do not say which one it was: the line of the gateway does.
 */
export const isOfTraffic = (line) => line.includes(`"trace_id":"${TRACE}`) || /\[wrangler:info\] POST \/v1\//.test(line);

/**
 * Sends requests to the gateway until `stop` is called. What comes of them does not matter: the
 * gateway counts it. `pauseMs` is the pause between two requests.
 */
export function startTraffic({ url, key, controlUrl, pauseMs = 500, outage = OUTAGE }) {
  const ending = new AbortController();
  let sent = 0;
  const request = async () => {
    const { path, body } = sampleRequest(sent++);
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", traceparent: traceparent() };
    const init = { method: "POST", headers, body: JSON.stringify(body), signal: ending.signal };
    await fetch(url + path, init).then((response) => response.arrayBuffer()).catch(() => {});
  };
  const fail = () => {
    const { every_ms: _, ...fault } = outage;
    const init = { method: "POST", body: JSON.stringify(fault), signal: ending.signal };
    fetch(`${controlUrl}/faults`, init).catch(() => {});
  };
  const timers = [setInterval(request, pauseMs), setInterval(fail, outage.every_ms)];
  return {
    stop() {
      for (const timer of timers) clearInterval(timer);
      ending.abort();
    },
  };
}

/** One request after another: each model in turn, every third as a stream. */
function sampleRequest(number) {
  const model = MODELS[number % MODELS.length];
  if (model === "embed") return { path: "/v1/embeddings", body: { model, input: `Sentence ${number}` } };
  const messages = [{ role: "user", content: `Say hello for the ${number}th time.` }];
  return { path: "/v1/chat/completions", body: { model, messages, stream: number % 3 === 0 } };
}

const traceparent = () => `00-${TRACE}${randomBytes(11).toString("hex")}-${randomBytes(8).toString("hex")}-00`;
