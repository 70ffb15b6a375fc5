// `npm run bench -- --against PATH`: the build of this checkout beside another one.
// docs/benchmarks.md says how to read the figures.

import { statSync } from "node:fs";
import { join } from "node:path";
import { say } from "../scripts/setup.mjs";
import { bundle } from "./builds.mjs";
import { compare, comparisonCells, disturbance } from "./comparison.mjs";
import { machine } from "./machine.mjs";
import { leaveGatewayCore } from "./placement.mjs";
import { run } from "./run.mjs";
import { aligned, factsOf, markdownTable } from "./tables.mjs";
import { keep, onTerminal } from "./terminal.mjs";

/** Gives whether every bar is met. */
export async function runAgainst(experiments, { rounds, seconds, load }) {
  const builds = await Promise.all(experiments[0].candidates.filter(({ name }) => name !== "copy").map(describe));
  const facts = machine({ load, isPlaced: leaveGatewayCore(), rounds, seconds });
  const progress = onTerminal(experiments, (experiment, results) => {
    const lines = compare([experiment], { [experiment.name]: results });
    return `\n${aligned(comparisonCells(lines))}${disturbance(results)}\n`;
  });
  const measured = await run(experiments, { rounds, seconds, progress });
  const lines = compare(experiments, measured);
  const cells = comparisonCells(lines);
  const note = disturbance(Object.values(measured).flat());
  process.stdout.write(`${aligned(cells)}${note}\n`);
  const text = `${factsOf(facts)}\n\n${markdownTable(cells)}\n${note}`;
  keep("against-", { machine: facts, builds, comparison: lines, rounds: measured }, text);
  return lines.every(({ isMet = true }) => isMet);
}

/** What is compared, as it is deployed. An error here comes before anything is measured. */
async function describe({ name, title, worker }) {
  const { main, keepNames } = worker();
  const { folder, modules } = await bundle(main, keepNames);
  const kib = (ending) => {
    const sizes = modules.filter((file) => file.endsWith(ending)).map((file) => statSync(join(folder, file)).size);
    return Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1024);
  };
  say(`${title}: ${main} (${kib(".js")} KiB of JavaScript, ${kib(".wasm")} KiB of Wasm)`);
  return { name, main, scriptKib: kib(".js"), wasmKib: kib(".wasm") };
}
