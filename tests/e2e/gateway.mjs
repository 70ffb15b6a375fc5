// Runs the built Worker in workerd through Miniflare, with its own KV namespace and Durable
// Objects.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare } from "miniflare";
import { builtWorker, platform } from "../../scripts/worker.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const ROUTES_KEY = "routes";
const FIRST = "switchyard";
const OBJECTS = {
  DeploymentHealth: { type: "durable-object", storage: "sqlite" },
  Registry: { type: "durable-object", storage: "sqlite" },
  Ledger: { type: "durable-object", storage: "sqlite" },
};
const CALLER = "caller";
const DIRECT = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
const HEALTH = { type: "durable-object", worker: FIRST, exportName: "DeploymentHealth" };
const LEDGER = { type: "durable-object", worker: FIRST, exportName: "Ledger" };
const REGISTRY = { type: "durable-object", worker: FIRST, exportName: "Registry" };

// Starts a gateway.
//
// - `routes`: the document to write to KV, as an object or as text. Undefined writes nothing.
// - `vars`: the Worker's variables and secrets.
// - `secrets`: secrets of the Secrets Store, by the names of their bindings.
// - `kvPersist`: a folder that holds KV, so that its content survives the gateway.
// - `isolates`: their number. Isolates share only KV and the Durable Objects.
// - `object`: whether the Worker has a binding to the Durable Objects.
// - `registry`: whether the Worker has a binding to the registry.
// - `ledger`: whether the Worker has a binding to the ledgers of limits.
// - `intercept`: whether intercept.js wraps the Worker's bindings and its Wasm.
// - `caller`: the source of another Worker, which has a service binding GATEWAY to the gateway.
//   `gateway.caller` sends requests to it.
// - `page`: whether the built page is served at /admin, with the headers of page/public/_headers.
export async function startGateway({
  routes,
  vars = {},
  secrets = {},
  kvPersist,
  isolates = 1,
  object = true,
  registry = false,
  ledger = true,
  intercept = false,
  caller,
  page = false,
  checkout = ROOT,
} = {}) {
  const names = Array.from({ length: isolates }, (_, index) => (index === 0 ? FIRST : `${FIRST}-${index + 1}`));
  const manifest = worker(checkout, intercept);
  const objects = { ...(object && { HEALTH }), ...(registry && { REGISTRY }), ...(ledger && { LEDGER }) };
  const env = { ...bindings(vars), ...stored(secrets), ...objects };
  const assets = page && { assets: { directory: join(checkout, "page/public"), hasUserWorker: true } };
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
        config: { name, ...platform(), manifest, env, ...assets, ...(name === FIRST && { exports: OBJECTS }) },
        dev: DIRECT,
      })),
      ...(caller === undefined ? [] : [{ config: callerConfig(caller), dev: DIRECT }]),
    ],
  });
  const kv = await miniflare.getKVNamespace("ROUTES");
  const putRoutes = (document) =>
    kv.put(ROUTES_KEY, typeof document === "string" ? document : JSON.stringify(document));
  if (routes !== undefined) await putRoutes(routes);
  for (const [name, value] of Object.entries(secrets)) {
    await (await miniflare.getSecretsStoreSecretAPI(name, FIRST))().create(value);
  }
  const url = String(await miniflare.ready).replace(/\/$/, "");

  return {
    url,
    logs, // the lines that the Worker wrote to its console
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    caller: caller && (await isolate(miniflare, CALLER)).fetch,
    isolates: await Promise.all(names.map((name) => isolate(miniflare, name))),
    // The state of each deployment in the Durable Object of that name, such as `default/hub`.
    view: async (name) => {
      const objects = await miniflare.getDurableObjectNamespace("HEALTH", FIRST);
      return (await objects.get(objects.idFromName(name)).fetch("https://health/view")).json();
    },
    // Evicts the Durable Object of that name, such as `default/enam`. Its next call starts a new
    // instance from its storage.
    evict: (name) =>
      miniflare.unsafeEvictDurableObject(FIRST, "DeploymentHealth", { name }).catch((error) => {
        if (!/not currently running/.test(error.message)) throw error;
      }),
    evictRegistry: () => miniflare.unsafeEvictDurableObject(FIRST, "Registry", { name: "registry" }),
    evictLedger: (name) => miniflare.unsafeEvictDurableObject(FIRST, "Ledger", { name }),
    putRoutes,
    deleteRoutes: () => kv.delete(ROUTES_KEY),
    kvKeys: async () => (await kv.list()).keys.map(({ name }) => name),
    close: () => miniflare.dispose(),
  };
}

// One of the isolates.
async function isolate(miniflare, name) {
  const url = String(await miniflare.unsafeGetDirectURL(name)).replace(/\/$/, "");
  return {
    url,
    fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }),
    // Sends commands to intercept.js. Resolves with its counts.
    async intercept(commands = {}) {
      const response = await fetch(`${url}/intercept`, { method: "POST", body: JSON.stringify(commands) });
      return response.json();
    },
  };
}

// Starts a gateway, passes it to `use`, and closes it. Errors of `use` get the Worker's log
// appended.
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

// The configuration of a Worker of one module, with a service binding to the gateway.
function callerConfig(source) {
  const manifest = { mainModule: "index.js", modules: { "index.js": { type: "esm", contents: source } } };
  return { name: CALLER, ...platform(), manifest, env: { GATEWAY: { type: "worker", worker: FIRST } } };
}

// The modules of the built Worker, with intercept.js as the main module if `intercept` is set.
function worker(checkout, intercept) {
  const { main, files } = builtWorker(checkout);
  const modules = {};
  for (const path of files) {
    const contents = readFileSync(join(checkout, path));
    modules[path] = path.endsWith(".wasm")
      ? { type: "wasm", contents: new Uint8Array(contents) }
      : { type: "esm", contents: contents.toString() };
  }
  if (!intercept) return { mainModule: main, modules };
  modules["index.js"] = { type: "esm", contents: `export * from "./${main}"; export { default } from "./${main}";` };
  for (const name of ["boundary.js", "intercept.js"]) {
    modules[name] = { type: "esm", contents: readFileSync(join(ROOT, "tests/e2e", name), "utf8") };
  }
  return { mainModule: "intercept.js", modules };
}

function stored(secrets) {
  return Object.fromEntries(
    Object.keys(secrets).map((name) => [name, { type: "secrets-store-secret", storeId: "store", secretName: name }]),
  );
}

function bindings(vars) {
  const texts = Object.entries(vars).map(([name, value]) => [name, { type: "text", value }]);
  return { ROUTES: { type: "kv", id: "routes" }, ...Object.fromEntries(texts) };
}
