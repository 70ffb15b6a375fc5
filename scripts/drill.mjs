// `npm run drill`: plays the script of a drill against a running gateway, and reports in plain words
// what its clients saw. It needs nothing but Node, unless it starts a gateway itself.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { play, words } from "./drill/play.mjs";
import { parseScript } from "./drill/script.mjs";
import { ensureAll, main, restartOnOwnNode, root } from "./setup.mjs";

const USAGE = `Plays a drill: makes deployments fail on purpose while it sends requests, and reports what clients see.

npm run drill -- --script FILE [--gateway URL] [--json]

  --script FILE  the steps of the drill, see docs/drills.md
  --gateway URL  the gateway (default: SWITCHYARD_URL; without both, one is started on this machine
                 with routes.json and simulated providers; build it before: node scripts/build.mjs)
  --json         prints the report as JSON, and the progress to stderr
  --help         this text

Tokens come from the environment: SWITCHYARD_ADMIN_TOKEN (the value of ADMIN_TOKEN, which sets and
ends the faults) and SWITCHYARD_KEY (a client's key, with which the requests are sent).

Examples:

  npm run drill -- --script examples/drills/region-outage.json
  SWITCHYARD_ADMIN_TOKEN=… SWITCHYARD_KEY=… npm run drill -- \\
    --gateway https://gateway.example.com --script examples/drills/region-outage.json

The faults of the drill end with it, also after Ctrl-C. If even that fails, they end by themselves.
The requests of the drill are real: providers that have no fault answer and charge them.

Exit codes: 0 all expectations hold, 1 one does not or the drill could not be played, 130 interrupted.
`;

main(async () => {
  const { values } = parseArgs({
    options: {
      script: { type: "string" },
      gateway: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (!values.script) throw new Error("--script FILE is missing; examples are in examples/drills, and --help says more");
  const script = parseScript(read(values.script), values.script);
  const url = values.gateway ?? process.env.SWITCHYARD_URL;
  const interrupted = new AbortController();
  const stop = () => interrupted.abort();
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
  let local;
  try {
    if (url === undefined) local = await startLocal();
    const gateway = local?.gateway ?? remote(url);
    const onProgress = progressTo(values.json ? process.stderr : process.stdout);
    const report = await play(script, gateway, { onProgress, signal: interrupted.signal });
    process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `\n${script.name}\n${words(report)}\n`);
    process.exitCode = report.interrupted ? 130 : report.passed ? 0 : 1;
  } finally {
    await local?.close();
  }
});

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error.code ?? error.message}`);
  }
}

function remote(url) {
  if (!/^https?:\/\/[^/]+/.test(url)) throw new Error(`--gateway ${url}: expected a URL such as https://gateway.example.com`);
  const { SWITCHYARD_ADMIN_TOKEN: adminToken, SWITCHYARD_KEY: key } = process.env;
  if (!adminToken) throw new Error("SWITCHYARD_ADMIN_TOKEN is not set; it is the value of the secret ADMIN_TOKEN of the gateway");
  if (!key) throw new Error("SWITCHYARD_KEY is not set; it is the key of a client, with which the requests are sent");
  return { url: url.replace(/\/+$/, ""), key, adminToken };
}

/** A gateway on this machine, with routes.json and the providers of `npm start`. */
async function startLocal() {
  await ensureAll();
  await restartOnOwnNode("scripts/drill.mjs");
  const [{ startSimulator }, { startGateway }, { simulatedVars }] = await Promise.all([
    import("../simulator/simulator.mjs"),
    import("../tests/e2e/gateway.mjs"),
    import("./simulated.mjs"),
  ]);
  process.stderr.write("starting a gateway with simulated providers\n");
  const simulator = await startSimulator();
  const vars = simulatedVars(simulator);
  const routes = readFileSync(join(root, "routes.json"), "utf8");
  const gateway = await startGateway({ routes, vars });
  return {
    gateway: { url: gateway.url, key: vars.SWITCHYARD_KEY, adminToken: vars.ADMIN_TOKEN },
    close: async () => {
      await gateway.close();
      await simulator.close();
    },
  };
}

/** Shows the progress: each line once, and what changes often only on a terminal. */
function progressTo(out) {
  return (line, isPassing = false) => {
    const isTerminal = out.isTTY === true;
    if (isPassing && !isTerminal) return;
    const text = isPassing ? line : `${line}\n`;
    out.write(isTerminal ? `\r\u001b[K${text}` : text);
  };
}
