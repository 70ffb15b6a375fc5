// `npm start`: runs the gateway on this machine. Installs missing dependencies, starts simulated
// upstreams unless there is a .dev.vars file, writes routes.json to local KV, runs `wrangler dev`,
// and prints the address of the page and commands to try. With simulated upstreams, it sends a
// little traffic.
//
//   npm start                    on port 8787
//   npm start -- --port 9000     on another port
//   npm start -- --no-traffic    without traffic of its own

import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { isOfTraffic, OUTAGE, startTraffic } from "./sample_traffic.mjs";
import { bin, ensureAll, main, restartOnOwnNode, root, run, say, wranglerEnv } from "./setup.mjs";
import { simulatedVars } from "./simulated.mjs";

const USAGE = `Starts the gateway on this machine.

npm start [-- --port N --no-traffic]

  --port N       the port to listen on (default 8787)
  --no-traffic   with simulated upstreams: send no requests and cause no outages
  --help         this text

Without a .dev.vars file the upstreams are simulated, and about two requests a second are sent, so that
the page shows something. To use real upstreams, copy .dev.vars.example
to .dev.vars and fill in their endpoints and keys.
`;

main(async () => {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8787" },
      "no-traffic": { type: "boolean", default: false },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Error(`--port ${values.port}: expected 1 to 65535`);
  await ensureAll();
  await restartOnOwnNode("scripts/start.mjs");
  await ensureFree(port);

  const ownVars = await readVars(join(root, ".dev.vars"));
  let simulator;
  let vars = ownVars;
  if (ownVars) {
    say("using the upstreams of .dev.vars");
  } else {
    const { startSimulator } = await import("../simulator/simulator.mjs");
    simulator = await startSimulator();
    vars = simulatedVars(simulator);
  }

  say("writing routes.json to local KV");
  const kv = ["kv", "key", "put", "routes", "--path", "routes.json", "--binding", "ROUTES", "--local"];
  await run(bin("wrangler"), kv, { env: wranglerEnv(), stdio: ["ignore", "ignore", "inherit"] });

  say("building the Worker and starting wrangler dev (the first build takes a minute or two)");
  const envFile = simulator ? ["--env-file", writeSimulatedVars(vars)] : [];
  const wrangler = spawn(bin("wrangler"), ["dev", "--port", String(port), "--ip", "127.0.0.1", ...envFile], {
    cwd: root,
    env: { ...wranglerEnv(), ...(process.stdout.isTTY && { FORCE_COLOR: "1" }) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let traffic;
  // The requests that one sends oneself would be lost among those of the traffic.
  createInterface({ input: wrangler.stdout }).on("line", (line) => {
    if (!traffic || !isOfTraffic(line)) process.stdout.write(`${line}\n`);
  });
  const stop = () => {
    traffic?.stop();
    wrangler.kill("SIGINT");
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
  wrangler.on("exit", async (code) => {
    traffic?.stop();
    await simulator?.close();
    process.exit(code ?? 0);
  });

  const url = `http://127.0.0.1:${port}`;
  await untilReady(`${url}/healthz`, wrangler);
  if (simulator && !values["no-traffic"]) {
    traffic = startTraffic({ url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url });
  }
  process.stdout.write(welcome(url, vars, simulator, traffic));
});

/** Rejects if the port is in use, before anything is changed. */
function ensureFree(port) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", ({ code }) =>
      reject(new Error(`port ${port}: ${code === "EADDRINUSE" ? "in use; choose another: npm start -- --port N" : code}`)),
    );
    probe.listen(port, "127.0.0.1", () => probe.close(resolve));
  });
}

/** The variables of a file, parsed as wrangler does; undefined if there is no file. */
async function readVars(path) {
  if (!existsSync(path)) return undefined;
  // A dynamic import, since the first run of this script installs the package. The version is that
  // of wrangler. Node's `util.parseEnv` parses some quotes and escapes differently.
  const { parse } = await import("dotenv");
  return parse(readFileSync(path));
}

function writeSimulatedVars(vars) {
  const path = join(root, ".wrangler", "simulated.vars");
  writeFileSync(path, Object.entries(vars).map(([name, value]) => `${name}="${value}"\n`).join(""));
  return path;
}

/** Resolves when the URL answers with success. Throws if the process ends before. */
async function untilReady(url, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error("wrangler dev ended; see its output above");
    const isUp = await fetch(url).then((response) => response.ok, () => false);
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function welcome(url, vars, simulator, traffic) {
  const key = vars.SWITCHYARD_KEY || "YOUR_KEY";
  const bold = (text) => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);
  const chat = (extra = "") =>
    `curl -s ${extra}${url}/v1/chat/completions -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\
    -d '{"model":"chat","messages":[{"role":"user","content":"Hello!"}]}'`;
  const faults = simulator
    ? `
${bold("Make OpenAI fail for a minute, and send a request")} (see the header x-switchyard-trail):

  curl -s ${simulator.control.url}/faults -d '{"upstream":"openai","fault":"overloaded","for_ms":60000}'
  ${chat("-i ")}

  Other faults, and the calls that each upstream received: curl -s ${simulator.control.url}/

After five failures in a row a deployment gets only one probe at a time, until a probe succeeds:

  curl -s ${url}/admin/api/health -H 'authorization: Bearer ${vars.ADMIN_TOKEN}'
`
    : "";
  const token = simulator ? vars.ADMIN_TOKEN : "the value of ADMIN_TOKEN in .dev.vars";
  const moving = traffic
    ? `
About two requests a second are sent, and every ${OUTAGE.every_ms / 1000} seconds one Azure region fails for ${OUTAGE.for_ms / 1000}, so that the
page shows something. Their lines are not printed here. Without them: npm start -- --no-traffic
`
    : "";
  return `
${bold("Switchyard is running.")}

  page      ${url}/admin
  token     ${token}
${moving}
  base URL  ${url}/v1
  key       ${key}
  models    curl -s ${url}/v1/models -H 'authorization: Bearer ${key}'
${simulator ? `  simulator ${simulator.control.url}\n` : ""}
${bold("Try it:")}

  ${chat()}
${faults}
Stop with Ctrl-C.

`;
}
