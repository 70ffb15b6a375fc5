// Runs the built Worker in workerd, through Miniflare, with a KV namespace and Durable Objects of its own.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";
import { builtWorker, platform } from "../../scripts/worker.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ROUTES_KEY = "routes";
const FIRST = "switchyard";
const OBJECTS = { DeploymentHealth: { type: "durable-object", storage: "sqlite" } };
const BESIDE = "beside";
const DIRECT = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
const HEALTH = { type: "durable-object", worker: FIRST, exportName: "DeploymentHealth" };

// `routes`: the document for KV, as an object or as text; nothing is written where it is undefined.
// `vars`: the Worker's variables and secrets. `kvPersist`: a folder in which KV outlives the gateway. `isolates`: how many of them
// there are, which share nothing but KV and the Durable Objects. `object`: whether there is a binding to those. `between`: whether
// between.js stands before their bindings and their Wasm. `beside`: the text of a Worker that calls the gateway by the binding
// GATEWAY, and is called by `gateway.beside`.
export async function startGateway({
  routes,
  vars = {},
  kvPersist,
  isolates = 1,
  object = true,
  between = false,
  beside,
  checkout = ROOT,
} = {}) {
  const names = Array.from({ length: isolates }, (_, index) => (index === 0 ? FIRST : `${FIRST}-${index + 1}`));
  const manifest = worker(checkout, between);
  const env = { ...bindings(vars), ...(object && { HEALTH }) };
  const logs = [];
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    enableDevRegistry: false,
    telemetry: { enabled: false },
    logRequests: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ level, message }) => logs.push(`${level}: ${message}`),
    handleUncaughtError: (error) => logs.push(`uncaught: ${error.stack}`),
    resourcePersistencePath: kvPersist,
    workers: [
      ...names.map((name) => ({
        config: { name, ...platform(), manifest, env, ...(name === FIRST && { exports: OBJECTS }) },
        dev: DIRECT,
      })),
      ...(beside === undefined ? [] : [{ config: caller(beside), dev: DIRECT }]),
    ],
  });
  const kv = await miniflare.getKVNamespace("ROUTES");
  const putRoutes = (document) =>
    kv.put(ROUTES_KEY, typeof document === "string" ? document : JSON.stringify(document));
  if (routes !== undefined) await putRoutes(routes);
  const url = String(await miniflare.ready).replace(/\/$/, "");

  return {
    url,
    logs, // what the Worker wrote to its console
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    beside: beside && (await isolate(miniflare, BESIDE)).fetch,
    isolates: await Promise.all(names.map((name) => isolate(miniflare, name))),
    // What the object of that name holds of each deployment: `default/hub`.
    view: async (name) => {
      const objects = await miniflare.getDurableObjectNamespace("HEALTH", FIRST);
      return (await objects.get(objects.idFromName(name)).fetch("https://health/view")).json();
    },
    // Has the object of that name start anew from its storage at its next call: `default/enam`.
    evict: (name) =>
      miniflare.unsafeEvictDurableObject(FIRST, "DeploymentHealth", { name }).catch((error) => {
        if (!/not currently running/.test(error.message)) throw error;
      }),
    putRoutes,
    deleteRoutes: () => kv.delete(ROUTES_KEY),
    kvKeys: async () => (await kv.list()).keys.map(({ name }) => name),
    close: () => miniflare.dispose(),
  };
}

// One isolate alone.
async function isolate(miniflare, name) {
  const url = String(await miniflare.unsafeGetDirectURL(name)).replace(/\/$/, "");
  return {
    url,
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    // Tells between.js what to do from now on. Resolves with what it has counted.
    async between(orders = {}) {
      const response = await fetch(`${url}/between`, { method: "POST", body: JSON.stringify(orders) });
      return response.json();
    },
  };
}

// Starts a gateway, gives it to `use`, and closes it. What fails there shows the Worker's log.
export async function withGateway(options, use) {
  const gateway = await startGateway(options);
  try {
    return await use(gateway);
  } catch (error) {
    if (gateway.logs.length > 0) error.message += `\nthe Worker's log:\n${gateway.logs.join("\n")}`;
    throw error;
  } finally {
    await gateway.close();
  }
}

// A Worker of one module that has a binding to the gateway.
function caller(text) {
  const manifest = { mainModule: "index.js", modules: { "index.js": { type: "esm", contents: text } } };
  return { name: BESIDE, ...platform(), manifest, env: { GATEWAY: { type: "worker", worker: FIRST } } };
}

function worker(checkout, between) {
  const { main, files } = builtWorker(checkout);
  const modules = {};
  for (const path of files) {
    const contents = readFileSync(join(checkout, path));
    modules[path] = path.endsWith(".wasm")
      ? { type: "wasm", contents: new Uint8Array(contents) }
      : { type: "esm", contents: contents.toString() };
  }
  if (!between) return { mainModule: main, modules };
  modules["index.js"] = { type: "esm", contents: `export * from "./${main}"; export { default } from "./${main}";` };
  for (const name of ["boundary.js", "between.js"]) {
    modules[name] = { type: "esm", contents: readFileSync(join(ROOT, "tests/e2e", name), "utf8") };
  }
  return { mainModule: "between.js", modules };
}

function bindings(vars) {
  const texts = Object.entries(vars).map(([name, value]) => [name, { type: "text", value }]);
  return { ROUTES: { type: "kv", id: "routes" }, ...Object.fromEntries(texts) };
}
