// The candidates of the comparison: how each is started, what it is sent, and how its answers are
// recognised.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ownWorker } from "./builds.mjs";
import { largeRoutes } from "./large-routes.mjs";
import { headers } from "./request.mjs";
import { startWorkerd } from "./workerd.mjs";

const BENCH = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(BENCH);
const CLIENT_KEY = "sk-bench-client";

export const UPSTREAM_KEY = "sk-bench-upstream";
export const PATH = "/v1/chat/completions";

/** No gateway: the client calls the stub. Shows the limits of the rig. */
export const direct = {
  name: "direct",
  title: "no gateway",
  start: async (upstream) => ({ url: upstream.url + PATH, headers: headers(UPSTREAM_KEY), stop: async () => {} }),
};

export const passThrough = worker({
  name: "pass-through",
  title: "pass-through Worker",
  main: join(BENCH, "workers/pass-through.js"),
});

export const peek = worker({
  name: "peek",
  title: "peek Worker",
  main: join(BENCH, "workers/peek.js"),
  recognises: ({ headers }) => headers.get("x-peek-model") === "chat",
});

export const hostOnly = worker({
  name: "host-only",
  title: "host-only Worker",
  main: join(BENCH, "workers/host-only.js"),
  recognises: ({ headers }) => headers.has("x-read"),
});

export const switchyard = gateway({ name: "switchyard", title: "Switchyard" });

/** Switchyard with a much larger routes document. */
export const large = gateway({
  name: "switchyard-large",
  title: "Switchyard, large graph",
  routes: () => largeRoutes(sampleRoutes()),
});

/** Switchyard with a first target that fails for some requests. */
export const failingOver = {
  ...gateway({ name: "switchyard-failover", title: "Switchyard, failing over" }),
  answerWith: "failures",
};

/** A Worker in JavaScript. */
export function worker({ name, title, main, recognises, requestHeaders = () => headers(CLIENT_KEY) }) {
  const start = async (upstream) => {
    const running = await startWorkerd({ main, vars: { UPSTREAM: upstream.url + PATH, UPSTREAM_KEY } });
    return { ...running, url: running.url + PATH, headers: requestHeaders(upstream) };
  };
  return { name, title, recognises, start };
}

/**
 * Switchyard. `worker` returns the build, `routes` the routes document; both default to this
 * checkout. `metrics`: whether it has a dataset for data points, `cache`: a store for the Cache API,
 * `ledger`: the objects of limits. Its
 * `start` passes `onOutput` on to `startWorkerd`.
 */
export function gateway({ name, title, worker = ownWorker, routes = sampleRoutes, metrics = false, cache = false, ledger = false }) {
  const start = async (upstream, { onOutput } = {}) => {
    const configuration = { vars: variables(upstream), routes: routes(), metrics, cache, ledger, onOutput };
    const running = await startWorkerd({ ...worker(), ...configuration });
    return { ...running, url: running.url + PATH, headers: headers(CLIENT_KEY) };
  };
  return { name, title, worker, recognises: ({ headers }) => headers.has("x-switchyard-deployment"), start };
}

/** The sample document of this checkout. */
export function sampleRoutes() {
  return JSON.parse(readFileSync(join(ROOT, "routes.json"), "utf8"));
}

/** The variables of the sample document, with the stub for each upstream. */
const variables = (upstream) => ({
  OPENAI_BASE_URL: `${upstream.url}/v1`,
  OPENAI_API_KEY: UPSTREAM_KEY,
  AZURE_EASTUS_ENDPOINT: upstream.url,
  AZURE_EASTUS_KEY: UPSTREAM_KEY,
  AZURE_WESTEUROPE_ENDPOINT: upstream.url,
  AZURE_WESTEUROPE_KEY: UPSTREAM_KEY,
  SWITCHYARD_KEY: CLIENT_KEY,
});
