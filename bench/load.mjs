// The load tool is oha, which the project installs like its other tools. wrk would have to come
// from the system. For a request to the stub oha takes 27 to 30 µs of processor time, and wrk 20 to
// 25 µs. Neither is the bottleneck: at the maximum of workerd, 5,000 requests a second, oha uses a
// seventh of the processor that it shares with the stub.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureLoadTool } from "../scripts/setup.mjs";
import { output, remove, temporaryFolder } from "./own.mjs";

const TIMEOUT = "60s";
/**
 * Sends the same request repeatedly over some connections, for `seconds` seconds or until
 * `requests` requests are made. Waits for the requests in flight at the end, so that all work of
 * the gateway is counted.
 */
export async function load({ url, headers, body, connections, seconds, requests }) {
  const { path } = await ensureLoadTool();
  const folder = temporaryFolder();
  try {
    const file = join(folder, "body");
    writeFileSync(file, body);
    const sent = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
    const amount = requests === undefined ? ["-z", `${Math.round(seconds * 1_000)}ms`, "-w"] : ["-n", String(requests)];
    const fixed = ["--no-tui", "--output-format", "json", "--redirect", "0", "-t", TIMEOUT, "-m", "POST", "-D", file];
    return figures(JSON.parse(await output([path, [...fixed, ...amount, "-c", String(connections), ...sent, url]])));
  } finally {
    remove(folder);
  }
}

/** The figures that are used from the output of oha. */
function figures({ summary, statusCodeDistribution, errorDistribution, latencyPercentiles }) {
  const { 200: requests = 0, ...otherwise } = statusCodeDistribution;
  const failures = Object.entries({ ...otherwise, ...errorDistribution }).map(([what, count]) => `${count} × ${what}`);
  if (failures.length > 0)
    throw new Error(`${requests} requests were answered with 200; others failed: ${failures.join(", ")}`);
  const [p50Ms, p90Ms, p99Ms] = ["p50", "p90", "p99"].map((name) => latencyPercentiles[name] * 1_000);
  return { requests, seconds: summary.total, perSecond: requests / summary.total, p50Ms, p90Ms, p99Ms };
}
