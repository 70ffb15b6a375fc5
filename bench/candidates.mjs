// What is compared: each with how it is started, what is sent to it, and how its answer is recognised as its own.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { headers } from "./request.mjs";
import { startWorkerd } from "./workerd.mjs";

const BENCH = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(BENCH);
const UPSTREAM_KEY = "sk-bench-upstream";
const CLIENT_KEY = "sk-bench-client";
const PATH = "/v1/chat/completions";

/** The variables that the sample's routes.json names; each of its upstreams is the stub. */
const variables = (upstream) => ({
  OPENAI_BASE_URL: `${upstream.url}/v1`,
  OPENAI_API_KEY: UPSTREAM_KEY,
  AZURE_EASTUS_ENDPOINT: upstream.url,
  AZURE_EASTUS_KEY: UPSTREAM_KEY,
  AZURE_WESTEUROPE_ENDPOINT: upstream.url,
  AZURE_WESTEUROPE_KEY: UPSTREAM_KEY,
  SWITCHYARD_KEY: CLIENT_KEY,
});

export const sampleRoutes = () => JSON.parse(readFileSync(join(ROOT, "routes.json"), "utf8"));

/** No gateway at all: the client and the stub. What the rig itself can do. */
export const direct = {
  name: "direct",
  title: "no gateway",
  start: async (upstream) => ({ url: upstream.url + PATH, headers: headers(UPSTREAM_KEY), stop: async () => {} }),
};

export const passThrough = worker("pass-through", "pass-through Worker", () => true);
export const peek = worker("peek", "peek Worker", ({ headers }) => headers.get("x-peek-model") === "chat");
export const switchyard = gateway("switchyard", "Switchyard", sampleRoutes);

/** Switchyard with routes of its own. */
export function gateway(name, title, routes) {
  return {
    name,
    title,
    recognises: ({ headers }) => headers.has("x-switchyard-deployment"),
    start: (upstream) =>
      started({
        main: join(ROOT, "build/index.js"),
        folder: true,
        vars: variables(upstream),
        routes: routes(),
      }),
  };
}

/** A Worker in JavaScript. */
function worker(name, title, recognises) {
  const main = join(BENCH, `workers/${name}.js`);
  const vars = (upstream) => ({ UPSTREAM: upstream.url + PATH, UPSTREAM_KEY });
  return { name, title, recognises, start: (upstream) => started({ main, vars: vars(upstream) }) };
}

async function started(worker) {
  const running = await startWorkerd(worker);
  return { ...running, url: running.url + PATH, headers: headers(CLIENT_KEY) };
}
