// `npm run chaos`: several isolates under load for minutes, while upstreams, the Durable Object and
// the routes document fail at random. Needs a built Worker (`node scripts/build.mjs` or
// `npm test`).
//
//   npm run chaos                          two minutes, with a random seed
//   npm run chaos -- --minutes 5 --seed 7  five minutes, with the same disruptions each time

import { parseArgs } from "node:util";
import { ensureAll, main, restartOnOwnNode, say } from "./setup.mjs";

// The part without faults comes first. Its length: a share of the duration, up to a limit.
const QUIET_SHARE = 0.2;
const QUIET_MS = 20_000;

const USAGE = `Puts three isolates under load while their dependencies fail at random, and checks every answer.

npm run chaos [-- --minutes N] [--seed N]

  --minutes N  duration (default 2; fractions are allowed)
  --seed N     repeats the disruptions of an earlier run (default: random, and printed)
  --help       this text

A run checks that

- a request is answered if one upstream that can serve it has no fault meanwhile;
- every answer is complete and comes exactly once;
- every error has OpenAI's shape;
- every stream ends with a finish or an error event;
- clients that leave, read slowly, do not wait, ask for too much or use stored objects eject nobody:
  in a first part without faults no deployment is ejected and the first target serves, and later
  every ejection is explained by a fault of its upstream;
- of a quota no more is served than there is, and no limit refuses a request that fits into it;
- no exception is uncaught, no request stays in flight, and memory does not grow.

The exit code is 1 if any check fails.
`;

main(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "2" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
  if (!(minutes > 0)) throw new Error(`--minutes ${values.minutes}: expected a number above 0`);
  if (!Number.isInteger(seed) || seed < 0) throw new Error(`--seed ${values.seed}: expected a whole number`);
  await ensureAll();
  await restartOnOwnNode("scripts/chaos.mjs");
  const { runChaos } = await import("../tests/e2e/chaos/run.mjs");
  const { runQuiet } = await import("../tests/e2e/chaos/quiet.mjs");

  const ms = minutes * 60_000;
  say(`chaos for ${minutes} min, seed ${seed}`);
  const quietMs = Math.min(ms * QUIET_SHARE, QUIET_MS);
  const quiet = await runQuiet({ seed, ms: quietMs });
  say(`without faults: ${quiet.served} requests beside ${sumOf(quiet.disturbers)} of clients that disturb`);
  const report = await runChaos({ seed, ms, onProgress: printProgress });
  report.violations.unshift(...quiet.violations);
  if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
  process.stdout.write(summary(report));
  if (report.violations.length === 0) return say("no violations");
  for (const violation of report.violations.slice(0, 10)) process.stdout.write(`\n${JSON.stringify(violation, null, 2)}\n`);
  say(`${report.violations.length} violations; to repeat: npm run chaos -- --minutes ${minutes} --seed ${seed}`);
  process.exitCode = 1;
});

function printProgress({ seconds, requests, violations, rssMb }) {
  if (!process.stdout.isTTY) return;
  const line = `${Math.round(seconds)} s, ${requests} requests, ${violations} violations, workerd ${rssMb} MiB`;
  process.stdout.write(`\r\u001b[K${line}`);
}

const sumOf = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);

function summary({ disruptions, clients, disturbers, memory }) {
  const heads = ["", "requests", "promised", "answers", "errors", "broken", "p50 ms", "p99 ms"];
  const rows = Object.entries(clients).map(([kind, { requests, promised, answers, errors, broken, ms }]) => {
    const sorted = ms.sort((a, b) => a - b);
    const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return [kind, requests, promised, answers, errors, broken, at(0.5), at(0.99)];
  });
  const sum = (column) => rows.reduce((total, row) => total + row[column], 0);
  rows.push(["all", ...[1, 2, 3, 4, 5].map(sum), "", ""]);
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => String(row[column]).length)));
  const line = (cells) => cells.map((cell, column) => String(cell)[column ? "padStart" : "padEnd"](widths[column])).join("  ");
  const third = Math.floor(memory.length / 3);
  const at = [third, 2 * third, memory.length - 1].map((index) => memory[index]?.mb ?? 0);
  const counts = Object.entries({ ...disruptions, ...disturbers }).map(([what, count]) => `${count} ${what}`);
  return `\n${[heads, ...rows].map(line).join("\n")}\n\n${counts.join(", ")}\nworkerd: ${at.join(", ")} MiB after one third, two thirds and the whole run\n\n`;
}
