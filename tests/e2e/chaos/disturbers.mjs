// Clients that leave, read slowly, do not wait, ask for too much, or use stored objects that fail.
// Nothing that they do may change what other clients get.

import { setTimeout as wait } from "node:timers/promises";
import { APP_KEY } from "../document.mjs";
import { UPSTREAMS } from "../isolates.mjs";
import { leave, readLate, requestOf } from "../raw-client.mjs";

// Marks in the bodies of their requests, by which the upstreams know how to answer.
const [SLOW, PAUSED, TOO_LARGE, FLEX, REFUSED] = ["slow", "paused", "too-large", "flex", "refused"].map((name) => `disturber-${name}`);
const MARKED = {
  [SLOW]: { slow_headers_ms: 1000 },
  [PAUSED]: { pause_ms: 50 },
  [TOO_LARGE]: { error: "too_large" },
  [FLEX]: { error: "no_capacity" },
  [REFUSED]: { error: "invalid_request" },
};
const OBJECTS = ["files", "batches", "vector_stores"];
// Operations that an upstream may limit for disturbers.
export const IS_OF_DISTURBERS = new RegExp(`^(${OBJECTS.join("|")})$`);

// Bodies that are longer than this are sent as they arrive (`settings.buffer_bytes`).
export const BUFFER_BYTES = 16 * 1024;

// Makes every upstream answer the requests of disturbers in the way that they cause.
export async function answerDisturbers(simulator) {
  for (const name of UPSTREAMS) {
    for (const [contains, fault] of Object.entries(MARKED)) await simulator.fault(name, { fault, when: { contains } });
    for (const operation of OBJECTS) {
      await simulator.fault(name, { fault: "rate_limit", when: { operation }, probability: 0.2 });
      await simulator.fault(name, { fault: "server_error", when: { operation }, probability: 0.2 });
    }
  }
}

const filler = (random, most) => "x ".repeat(random.between(1, most / 2));
const chatWith = (content, more) => JSON.stringify({ model: "chat", messages: [{ role: "user", content }], ...more });
const form = (content) =>
  `--f\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--f\r\ncontent-disposition: form-data; name="file"; filename="in.jsonl"\r\n\r\n${content}\r\n--f--\r\n`;

// The kinds of disturbers: each makes one request to the isolate.
const KINDS = {
  "leaves while it uploads": (random, at) => {
    const part = random.unit();
    const chat = requestOf(at.host, chatWith(filler(random, random.of([100, 4 * BUFFER_BYTES]))), { part });
    const content = filler(random, random.of([100, 4 * BUFFER_BYTES]));
    const file = requestOf(at.host, form(content), { part, path: "/v1/files", type: "multipart/form-data; boundary=f" });
    return leave(at, random.of([chat, file]), { ms: random.between(0, 200) });
  },
  "leaves before its answer": (random, at) => {
    const more = { stream: random.chance(0.5), model: random.of(["chat", "whole"]) };
    return leave(at, requestOf(at.host, chatWith(`echo ${SLOW}`, more)), { ms: random.between(0, 900) });
  },
  "leaves in its stream": (random, at) => {
    const more = { stream: true, model: random.of(["chat", "whole"]) };
    const text = chatWith(`echo ${PAUSED} ${filler(random, 60)}`, more);
    return leave(at, requestOf(at.host, text), { ms: random.between(0, 900), answered: random.chance(0.3) });
  },
  "reads slowly": (random, at) => {
    const text = chatWith(`echo ${"x".repeat(random.between(1, 2 * BUFFER_BYTES))}`, { stream: random.chance(0.7) });
    return readLate(at, requestOf(at.host, text), random.between(100, 1500));
  },
  "does not wait": (random, _, isolate) => {
    const ms = random.between(20, 700);
    const header = random.of([
      { "x-stainless-timeout": String(ms / 1000) },
      { "x-stainless-read-timeout": String(ms / 1000) },
      { "cf-aig-request-timeout": String(ms) },
    ]);
    return send(isolate, chatWith(SLOW, { stream: random.chance(0.5) }), header);
  },
  "asks for too much": (random, _, isolate) => {
    const mark = random.of([TOO_LARGE, TOO_LARGE, FLEX, REFUSED]);
    const content = `${mark} ${filler(random, random.of([100, 4 * BUFFER_BYTES]))}`;
    return send(isolate, chatWith(content, { stream: random.chance(0.5) }));
  },
  "uses stored objects": async (random, at, isolate) => {
    const get = (path) => isolate.fetch(path, { headers: { authorization: `Bearer ${APP_KEY}` } }).then((response) => response.text());
    const kind = random.of(OBJECTS);
    await get(`/v1/${kind}`);
    await get(`/v1/${kind}/unknown-${random.between(0, 9)}`);
    const body = form(filler(random, random.of([100, 4 * BUFFER_BYTES])));
    const headers = { "content-type": "multipart/form-data; boundary=f" };
    const { id = "file-none" } = JSON.parse(await send(isolate, body, headers, "/v1/files"));
    await get(`/v1/files/${id}/content`);
    await send(isolate, JSON.stringify({ input_file_id: id, endpoint: "/v1/chat/completions" }), {}, "/v1/batches");
  },
};

async function send(isolate, body, headers = {}, path = "/v1/chat/completions") {
  const response = await isolate.fetch(path, {
    method: "POST",
    headers: { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json", ...headers },
    body,
    signal: AbortSignal.timeout(30_000),
  });
  return response.text();
}

export class Disturbers {
  counts = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, 0]));
  #isolates;
  #isOver;
  #onViolation;

  constructor({ gateway, isOver, onViolation }) {
    this.#isolates = gateway.isolates;
    this.#isOver = isOver;
    this.#onViolation = onViolation;
  }

  async run(random, perIsolate) {
    const clients = this.#isolates.flatMap((isolate) => Array.from({ length: perIsolate }, () => this.#client(random.fork(), isolate)));
    await Promise.all(clients);
  }

  async #client(random, isolate) {
    const at = new URL(isolate.url);
    const kinds = Object.keys(KINDS);
    for (let next = random.between(0, kinds.length - 1); !this.#isOver(); next += 1) {
      const kind = kinds[next % kinds.length];
      try {
        await KINDS[kind](random, at, isolate);
      } catch (error) {
        this.#onViolation("a disturber got no answer", { kind, error: `${error.message} ${error.cause?.message ?? ""}` });
      }
      this.counts[kind] += 1;
      await wait(random.between(0, 30));
    }
  }
}
