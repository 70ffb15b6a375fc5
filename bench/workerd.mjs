// Runs a Worker with `workerd serve`, as in production: without a development server, an inspector
// or a log of requests. The compatibility date and the flags are those of wrangler.toml, unless the
// Worker has its own.

import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { platform } from "../scripts/worker.mjs";
import { bundle } from "./builds.mjs";
import { remove, start, stop, temporaryFolder } from "./own.mjs";
import { onGatewayCore } from "./placement.mjs";

const BENCH = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(BENCH);
const STARTS_WITHIN_MS = 20_000;

/** The binary. The command of the npm package is a Node script that starts it. */
const workerd = () => {
  const [platform] = readdirSync(join(ROOT, "node_modules/@cloudflare")).filter((name) => name.startsWith("workerd-"));
  if (!platform) throw new Error("workerd is missing: run `npm ci`");
  return join(ROOT, "node_modules/@cloudflare", platform, "bin/workerd");
};

/**
 * Starts a Worker.
 * @param {object} worker
 * @param {string} worker.main its main module, which is bundled with its imports
 * @param {object} [worker.platform] its compatibility date and flags
 * @param {boolean} [worker.keepNames] as `bundle` takes it
 * @param {object} [worker.vars] variables and secrets
 * @param {object} [worker.routes] a routes document: the Worker is the gateway, with KV and Durable
 *   Objects
 * @param {boolean} [worker.metrics] whether the gateway has a dataset for its data points
 * @param {boolean} [worker.ledger] whether there are the objects of limits
 * @param {boolean} [worker.cache] whether the Cache API has a store, in the same process
 * @param {(text: string) => void} [worker.onOutput] gets what workerd writes to its output, which are
 *   the lines of `console.log`. Without it they go to /dev/null.
 */
export async function startWorkerd(worker) {
  const folder = temporaryFolder();
  try {
    const modules = await copyModules(worker, folder);
    writeFileSync(join(folder, "config.capnp"), config(folder, modules, worker));
    const command = onGatewayCore(workerd(), ["serve", "--control-fd=3", join(folder, "config.capnp")]);
    const spawnedAt = performance.now();
    const child = start(command, { stdio: ["ignore", worker.onOutput ? "pipe" : "ignore", "pipe", "pipe"] });
    child.stdout?.setEncoding("utf8").on("data", worker.onOutput);
    const { port, stderr } = await listening(child);
    return {
      url: `http://127.0.0.1:${port}`,
      pid: child.pid,
      spawnedAt,
      /** Returns the log output since the last call: warnings and exceptions. */
      complaints: () => stderr.splice(0).join(""),
      stop: () => stop(child).finally(() => remove(folder)),
    };
  } catch (error) {
    remove(folder);
    throw error;
  }
}

/** Resolves with the port that workerd listens on. */
async function listening(child) {
  const stderr = [];
  child.stderr.setEncoding("utf8").on("data", (text) => stderr.push(text));
  const port = new Promise((resolve) => {
    let output = "";
    child.stdio[3].setEncoding("utf8").on("data", (text) => {
      output += text;
      const match = /"socket":"http","port":(\d+)/.exec(output);
      if (match) resolve(Number(match[1]));
    });
  });
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, STARTS_WITHIN_MS, "it does not listen")));
  const first = await Promise.race([port, child.ended, late]);
  clearTimeout(timer);
  if (typeof first === "number") return { port: first, stderr };
  await stop(child);
  throw new Error(`workerd did not start: ${first}\n${stderr.join("")}`);
}

const text = (value) => JSON.stringify(String(value));
const list = (items) => `[\n    ${items.join(",\n    ")}\n  ]`;

/** Puts the modules of a Worker below that folder; gives them as the configuration names them. */
async function copyModules({ main, keepNames }, folder) {
  const bundled = await bundle(main, keepNames);
  cpSync(bundled.folder, join(folder, "worker"), { recursive: true });
  return bundled.modules.map((file) => {
    const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
    return `(name = ${text(file)}, ${kind} = embed ${text(`worker/${file}`)})`;
  });
}

/** The configuration. The files that it embeds are in the same folder. */
function config(folder, modules, { platform: own = platform(), vars = {}, routes, metrics, cache, ledger }) {
  const bindings = Object.entries(vars).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  const services = [
    '(name = "main", worker = .main)',
    '(name = "internet", network = (allow = ["private", "public"]))',
  ];
  let extensions = "";
  let objects = "";
  let workers = "";
  if (routes) {
    cpSync(join(BENCH, "workers/kv.js"), join(folder, "kv.js"));
    writeFileSync(join(folder, "routes.json"), JSON.stringify(routes));
    services.push('(name = "kv", worker = .kv)');
    bindings.push(
      '(name = "ROUTES", kvNamespace = "kv")',
      '(name = "HEALTH", durableObjectNamespace = "DeploymentHealth")',
    );
    const namespaces = ['(className = "DeploymentHealth", uniqueKey = "health", enableSql = true)'];
    if (ledger) {
      bindings.push('(name = "LEDGER", durableObjectNamespace = "Ledger")');
      namespaces.push('(className = "Ledger", uniqueKey = "ledger", enableSql = true)');
    }
    objects = `
  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = "objects"),`;
    mkdirSync(join(folder, "objects"));
    services.push(`(name = "objects", disk = (path = ${text(join(folder, "objects"))}, writable = true))`);
    workers = `
const kv :Workerd.Worker = (
  modules = [(name = "kv.js", esModule = embed "kv.js")],
  bindings = [(name = "DOCUMENT", text = embed "routes.json")],${deployed(own)}
);
`;
  }
  let outbound = "";
  if (cache) {
    cpSync(join(BENCH, "workers/cache.js"), join(folder, "cache.js"));
    services.push('(name = "cache", worker = .cache)');
    outbound = `
  cacheApiOutbound = "cache",`;
    workers += `
const cache :Workerd.Worker = (
  modules = [(name = "cache.js", esModule = embed "cache.js")],${deployed(own)}
);
`;
  }
  if (metrics) {
    cpSync(join(BENCH, "workers/metrics.js"), join(folder, "metrics.js"));
    extensions = `
  extensions = [(modules = [(name = "bench:metrics", esModule = embed "metrics.js", internal = true)])],`;
    bindings.push('(name = "METRICS", wrapped = (moduleName = "bench:metrics"))');
  }
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = ${list(services)},
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],${extensions}
);

const main :Workerd.Worker = (
  modules = ${list(modules)},
  bindings = ${list(bindings)},${objects}${outbound}${deployed(own)}
);
${workers}`;
}

/** The compatibility settings of a Worker in the configuration. */
function deployed({ compatibilityDate, compatibilityFlags }) {
  return `
  compatibilityDate = ${text(compatibilityDate)},
  compatibilityFlags = [${compatibilityFlags.map(text).join(", ")}],`;
}
