// The time to the first answer of a new workerd process, and V8's share of it.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { check } from "../check.mjs";
import { passThrough, peek, switchyard } from "../candidates.mjs";
import { output } from "../own.mjs";
import { cpuOf } from "../process.mjs";
import { body } from "../request.mjs";
import { median, spread } from "../statistics.mjs";

const BENCH = dirname(dirname(fileURLToPath(import.meta.url)));
const STARTS = 5;

/**
 * The time from the start of the process to the end of its first answer, and the time of that
 * request.
 */
export const cold = ({ candidates = [passThrough, peek, switchyard], count = STARTS } = {}) => ({
  name: "cold",
  title: "First answer of a fresh process",
  candidates,
  references: ["peek"],
  columns: ["coldMs", "firstRequestMs"],
  rounds: 3,
  async measure(candidate, { upstream }) {
    await upstream.answerWith("completions");
    const sent = { body: body({ model: "chat" }) };
    const starts = [];
    while (starts.length < count) {
      const from = performance.now();
      const gateway = await candidate.start(upstream);
      const { pid, spawnedAt = from } = gateway;
      const listensCpu = cpuOf(pid);
      const listens = performance.now();
      await check(candidate, { ...gateway, ...sent });
      const answered = performance.now();
      const cpu = cpuOf(pid);
      starts.push({
        coldMs: answered - spawnedAt,
        firstRequestMs: answered - listens,
        coldCpuMs: cpu && cpu / 1e6,
        firstCpuMs: cpu && (cpu - listensCpu) / 1e6,
      });
      await gateway.stop();
    }
    const metrics = ["coldMs", "firstRequestMs", "coldCpuMs", "firstCpuMs"];
    return Object.fromEntries(metrics.map((metric) => [metric, spread(starts.map((start) => start[metric]))?.median]));
  },
});

/** In a new process each time, since V8 caches compiled code. */
export const wasm = {
  name: "wasm",
  title: "The Wasm in V8 (Node)",
  candidates: [{ name: "switchyard", title: "Switchyard" }],
  references: [],
  columns: ["compileMs", "instantiateMs", "kib"],
  rounds: 3,
  async measure() {
    const build = join(BENCH, "../build");
    const file = join(
      build,
      readdirSync(build).find((name) => name.endsWith(".wasm")),
    );
    const results = [];
    while (results.length < STARTS) {
      results.push(JSON.parse(await output([process.execPath, [join(BENCH, "wasm.mjs"), file]])));
    }
    const of = (metric) => median(results.map((result) => result[metric]));
    return { compileMs: of("compileMs"), instantiateMs: of("instantiateMs"), kib: readFileSync(file).length / 1024 };
  },
};
