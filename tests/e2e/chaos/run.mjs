// A chaos run: several isolates under load, while their dependencies fail at random.

import { execFileSync } from "node:child_process";
import { setTimeout as wait } from "node:timers/promises";
import { startSimulator } from "../../../simulator/simulator.mjs";
import { fleet } from "../document.mjs";
import { startGateway } from "../gateway.mjs";
import { ADMIN_TOKEN, NAMES, UPSTREAMS } from "../isolates.mjs";
import { Clients, MODELS, QUOTA, QUOTA_KEY } from "./clients.mjs";
import { Disruptions } from "./disruptions.mjs";
import { BUFFER_BYTES, Disturbers, IS_OF_DISTURBERS } from "./disturbers.mjs";
import { healthOf, openGates } from "./gates.mjs";
import { Random } from "./random.mjs";

const CLIENTS_PER_ISOLATE = 5;
const DISTURBERS_PER_ISOLATE = 2;
const SAMPLE_MS = 1000;
// Log lines that the Worker must never write.
const FORBIDDEN_LOG = /^uncaught|^error|internal error|panic|RuntimeError|code had hung/;

// Runs for `ms` milliseconds and resolves with the report. Calls `onProgress` every second with
// {seconds, requests, violations, rssMb}.
export async function runChaos({ seed, ms, isolates = 3, onProgress = () => {} }) {
  const random = new Random(seed);
  const began = Date.now();
  const isOver = () => Date.now() >= began + ms;
  const simulator = await startSimulator();
  const timeout = { headers_ms: 1500, first_token_ms: 1500, idle_ms: 1000 };
  const { routes, vars } = fleet(simulator, {
    models: MODELS(NAMES),
    settings: { timeout, buffer_bytes: BUFFER_BYTES, limits_unreachable: "fail_closed" },
    clients: {
      // Limits that no run uses up.
      app: { key: "${APP_KEY}", limits: [{ requests: 10_000_000, per: "minute" }, { concurrent: 10_000 }] },
      quota: { key: "${QUOTA_KEY}", limits: [{ requests: QUOTA, per: "month" }] },
    },
    vars: { ADMIN_TOKEN, QUOTA_KEY },
  });
  const gateway = await startGateway({ routes, vars, isolates, intercept: true });
  try {
    const disruptions = new Disruptions(random.fork(), { simulator, gateway, routes, until: began + ms });
    const clients = new Clients({ simulator, gateway, disruptions, isOver });
    const onViolation = (what, details) => clients.violation(what, details);
    const disturbers = new Disturbers({ gateway, isOver, onViolation });
    const memory = [];
    const watch = async () => {
      while (!isOver()) {
        await wait(SAMPLE_MS);
        for (const line of gateway.logs.splice(0)) {
          if (FORBIDDEN_LOG.test(line)) clients.violation("the Worker's log", { line });
        }
        await checkEjections(gateway, disruptions, clients);
        memory.push({ seconds: (Date.now() - began) / 1000, mb: workerdMb() });
        const requests = Object.values(clients.counts).reduce((sum, count) => sum + count.requests, 0);
        onProgress({ seconds: memory.at(-1).seconds, requests, violations: clients.violations.length, rssMb: memory.at(-1).mb });
      }
    };
    await Promise.all([
      clients.run(random.fork(), CLIENTS_PER_ISOLATE),
      disturbers.run(random.fork(), DISTURBERS_PER_ISOLATE),
      disruptions.run(),
      watch(),
    ]);
    await checkInFlight(gateway, clients);
    await checkQuota(gateway, clients);
    checkMemory(memory, clients);
    return { seed, ms, disruptions: disruptions.counts, clients: clients.counts, disturbers: disturbers.counts, limited: clients.limited, memory, violations: clients.violations };
  } finally {
    await gateway.close();
    await simulator.close();
  }
}

// Each ejection must have a reason that the faults of its upstream explain: what clients do ejects
// nobody.
async function checkEjections(gateway, disruptions, clients) {
  const startedAt = disruptions.epochs.at(-1)?.startedAt;
  for (const gate of await openGates(gateway)) {
    if (IS_OF_DISTURBERS.test(gate.operation)) continue;
    const upstream = UPSTREAMS.find((name) => gate.deployment.includes(name));
    if (disruptions.explains(startedAt, upstream, gate.reason) === false) clients.violation("an ejection that no fault explains", gate);
  }
}

// After the last client has stopped, every isolate's number of requests in flight must fall to
// zero.
async function checkInFlight(gateway, clients) {
  const busy = async () => {
    const entries = (await healthOf(gateway)).filter(([, { isolate: known }]) => known.in_flight > 0);
    return entries.map(([index, { deployment, isolate: known }]) => `${deployment} in isolate ${index}: ${known.in_flight}`);
  };
  const until = Date.now() + 8000;
  let found = await busy();
  while (found.length > 0 && Date.now() < until) {
    await wait(250);
    found = await busy();
  }
  if (found.length > 0) clients.violation("in flight, though all clients have stopped", { found });
}

// Of the quota no more is served than there is, and what the ledger has counted is no less than what
// was served.
async function checkQuota(gateway, clients) {
  const { served } = clients.limited;
  if (served > QUOTA) clients.violation("more is served than the quota", { ...clients.limited });
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const usage = async () => (await (await gateway.fetch("/admin/api/usage?client=quota", { headers })).json()).limits[0];
  const until = Date.now() + 20_000;
  let limit = await usage();
  while (limit?.leased > 0 && Date.now() < until) {
    await wait(500);
    limit = await usage();
  }
  if (limit && (limit.spent > QUOTA || limit.spent < served)) clients.violation("the ledger has counted something else", { served, limit });
}

// Compares the mean of the last third with that of the second third, with a generous margin. V8's
// heap settles after about a minute of load, so shorter runs are not checked.
function checkMemory(memory, clients) {
  const third = Math.floor(memory.length / 3);
  if (third < 35) return;
  const mean = (samples) => samples.reduce((sum, { mb }) => sum + mb, 0) / samples.length;
  const [before, after] = [mean(memory.slice(third, 2 * third)), mean(memory.slice(2 * third))];
  if (after > before * 1.25 + 32) clients.violation("memory grows", { before_mb: before, after_mb: after });
}

// The memory of the workerd processes that this process started, in MiB.
function workerdMb() {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,rss=,comm="], { encoding: "utf8" }).trim().split("\n");
  const own = lines.map((line) => line.trim().split(/\s+/)).filter(([, parent, , name]) => Number(parent) === process.pid && /workerd/.test(name));
  return Math.round(own.reduce((sum, [, , kilobytes]) => sum + Number(kilobytes) / 1024, 0));
}
