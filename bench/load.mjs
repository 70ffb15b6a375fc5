import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { output, remove, temporaryFolder } from "./own.mjs";

const SCRIPT = `
wrk.method = "POST"
local file = io.open(BODY, "rb")
wrk.body = file:read("*a")
file:close()
for name, value in pairs(HEADERS) do wrk.headers[name] = value end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"us":%d,"bytes":%d,"p50":%d,"p90":%d,"p99":%d,"failed":%d}\\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(90), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
`;

/** Makes sure that there is a load tool; gives its name and version. */
export async function prepare() {
  const version = /^wrk \S+/.exec(spawnSync("wrk", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[0];
  if (!version)
    throw new Error(
      "wrk is missing. Install it (Debian: apt-get install wrk; macOS: brew install wrk), then run this again.",
    );
  return version;
}

/** Sends the same request again and again over some connections. */
export async function load({ url, headers, body, connections, seconds }) {
  const folder = temporaryFolder();
  try {
    writeFileSync(join(folder, "body"), body);
    const pairs = Object.entries(headers).map(
      ([name, value]) => `[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
    );
    const script = `BODY = ${JSON.stringify(join(folder, "body"))}\nHEADERS = { ${pairs.join(", ")} }\n${SCRIPT}`;
    writeFileSync(join(folder, "load.lua"), script);
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", join(folder, "load.lua"), url];
    const told = await output(["wrk", args]);
    const { us, p50, p90, p99, failed, ...result } = JSON.parse(/^RESULT (.*)$/m.exec(told)[1]);
    if (failed > 0) throw new Error(`${failed} of ${result.requests} requests failed`);
    return {
      ...result,
      seconds: us / 1e6,
      perSecond: (result.requests * 1e6) / us,
      p50Ms: p50 / 1e3,
      p90Ms: p90 / 1e3,
      p99Ms: p99 / 1e3,
    };
  } finally {
    remove(folder);
  }
}

/** The same until that many requests have been answered. */
export async function loadRequests({ requests, ...sent }) {
  for (let left = requests; left > 0;) left -= (await load({ ...sent, seconds: 2 })).requests;
}
