// A routes document for the upstreams of the simulator, and helpers for requests and assertions.

import assert from "node:assert/strict";
import { request } from "node:http";

export const APP_KEY = "sk-switchyard-app";

// One deployment for each operation on OpenAI. Chat and embeddings are also on Azure: East US has
// dated paths, West Europe has v1 paths.
function deploymentsOf(simulator, cost) {
  const openai = (model) => ({ cost, provider: "openai", endpoint: simulator.openai.endpoint, api_key: "${OPENAI_API_KEY}", model });
  const eastus = (base) => ({
    cost,
    provider: "azure",
    endpoint: simulator.eastus.endpoint,
    api_key: "${AZURE_EASTUS_KEY}",
    deployment: `${base}-eastus`,
    api_version: "2024-10-21",
    model: base,
    region: "eastus",
    quality: 3,
    tags: ["us"],
  });
  const westeurope = (base) => ({
    cost,
    provider: "azure",
    endpoint: simulator.westeurope.endpoint,
    api_key: "${AZURE_WESTEUROPE_KEY}",
    deployment: `${base}-westeurope`,
    model: base,
    region: "westeurope",
    quality: 2,
    tags: ["eu"],
  });
  return {
    openai: openai("gpt-4o"),
    "azure-eastus": eastus("gpt-4o"),
    "azure-westeurope": westeurope("gpt-4o"),
    "openai-embed": openai("text-embedding-3-small"),
    "azure-eastus-embed": eastus("text-embedding-3-small"),
    "openai-instruct": openai("gpt-3.5-turbo-instruct"),
    "openai-moderation": openai("omni-moderation-latest"),
    "openai-image": openai("gpt-image-1"),
    "openai-speech": openai("tts-1"),
    "openai-whisper": openai("whisper-1"),
  };
}

const MODELS = {
  chat: { targets: ["openai", "azure-eastus", "azure-westeurope"] },
  "chat-eastus": { targets: ["azure-eastus"] },
  "chat-westeurope": { targets: ["azure-westeurope"] },
  embed: { targets: ["openai-embed", "azure-eastus-embed"] },
  instruct: { targets: ["openai-instruct"] },
  moderate: { targets: ["openai-moderation"] },
  draw: { targets: ["openai-image"] },
  speak: { targets: ["openai-speech"] },
  listen: { targets: ["openai-whisper"] },
};

// Options for `startGateway`. `models`, `settings` and `vars` are added; other sections replace
// those here. All deployments have this `cost`.
export function fleet(simulator, { models = {}, settings = {}, vars = {}, cost, ...sections } = {}) {
  return {
    routes: {
      version: 1,
      settings: { refresh_seconds: 1, deadline_ms: 10_000, ...settings },
      clients: { app: { key: "${APP_KEY}" } },
      deployments: deploymentsOf(simulator, cost),
      models: { ...MODELS, ...models },
      ...sections,
    },
    vars: {
      APP_KEY,
      OPENAI_API_KEY: simulator.openai.key,
      AZURE_EASTUS_KEY: simulator.eastus.key,
      AZURE_WESTEUROPE_KEY: simulator.westeurope.key,
      ...vars,
    },
  };
}

export const HI = [{ role: "user", content: "hi" }];

// Sends a chat request with the app's key. `body` adds fields or replaces them.
export function chat(gateway, body = {}, { headers = {}, path = "/v1/chat/completions", ...init } = {}) {
  return gateway.fetch(path, {
    method: "POST",
    headers: { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "chat", messages: HI, ...body }),
    ...init,
  });
}

// A client that can reset its connection. workerd notices only connections that are closed in both
// directions; it would notice a half-closed one at the next write.
export function connect(gateway, body) {
  const headers = { authorization: `Bearer ${APP_KEY}`, "content-type": "application/json" };
  const outgoing = request(`${gateway.url}/v1/chat/completions`, { method: "POST", headers });
  outgoing.on("error", () => {});
  const content = new Promise((resolve) => {
    outgoing.on("response", (incoming) => incoming.on("error", () => {}).once("data", resolve));
  });
  outgoing.end(JSON.stringify(body));
  return { content, leave: () => outgoing.socket.resetAndDestroy() };
}

// Asserts a JSON chat answer from this source, such as `eastus/gpt-4o-eastus`. A failure shows the
// status and the body.
export async function assertServedBy(response, source) {
  const body = await response.text();
  assert.equal(response.status, 200, `status ${response.status}, trail ${trail(response)}: ${body}`);
  assert.equal(JSON.parse(body).choices[0].message.content, `hello from ${source}`, `trail ${trail(response)}`);
}

// Asserts an error in OpenAI's shape. An undefined code is not compared. Returns the error.
export async function assertError(response, status, code) {
  const body = await response.text();
  assert.equal(response.status, status, `trail ${trail(response)}: ${body}`);
  assert.match(response.headers.get("content-type"), /^application\/json/, body);
  const { error } = JSON.parse(body);
  assert.deepEqual(Object.keys(error ?? {}).sort(), ["code", "message", "param", "type"], body);
  if (code !== undefined) assert.equal(error.code, code, body);
  assert.equal(typeof error.message, "string");
  return error;
}

export function trail(response) {
  return response.headers.get("x-switchyard-trail");
}

// Asserts the [deployment, outcome] pairs of the trail. An outcome is a string or a pattern.
export function assertTrail(response, expected) {
  const text = trail(response) ?? "";
  const found = text.split(", ").map((entry) => /^([^=]+)=([a-z_0-9]+);\d+$/.exec(entry)?.slice(1) ?? [entry]);
  assert.deepEqual(found.map(([name]) => name), expected.map(([name]) => name), `trail: ${text}`);
  for (const [index, [name, outcome]] of expected.entries()) {
    const pattern = outcome instanceof RegExp ? outcome : new RegExp(`^${outcome}$`);
    assert.match(found[index][1], pattern, `outcome of ${name} in the trail: ${text}`);
  }
}

// The events of a finished stream: [{event?, data}]. `data` is parsed if it is JSON.
export function eventsOf(text) {
  return text
    .split(/\r?\n\r?\n/)
    .map((block) => block.split(/\r?\n/).filter((line) => line && !line.startsWith(":")))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      return { event: field("event"), data: data?.startsWith("{") ? JSON.parse(data) : data };
    });
}

// The text of a streamed chat answer, its error events, and whether its last event is `[DONE]`.
export function readChatStream(text) {
  const events = eventsOf(text);
  return {
    text: events.map(({ data }) => data?.choices?.[0]?.delta?.content ?? "").join(""),
    done: events.at(-1)?.data === "[DONE]",
    errors: events.filter(({ event, data }) => event === "error" || data?.error || data?.type === "error"),
  };
}
