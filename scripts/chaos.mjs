// `npm run chaos`: several isolates under load for minutes, while upstreams, the Durable Object and the routes document fail at
// random. Needs a built Worker (`node scripts/build.mjs`, or any `npm test`).
//
//   npm run chaos                          two minutes, another seed each time
//   npm run chaos -- --minutes 5 --seed 7  the same weather again

import { parseArgs } from "node:util";
import { ensureAll, main, restartOnOwnNode, say } from "./setup.mjs";

const USAGE = `Puts three isolates under load while everything that they depend on fails at random, and checks every answer.

npm run chaos [-- --minutes N] [--seed N]

  --minutes N  how long (default 2; fractions are fine)
  --seed N     makes the same weather again (default: a random one, which is printed)
  --help       this text

A request is promised an answer while one upstream that can serve it has no fault. Apart from that: every answer is whole and comes
once, every error has OpenAI's shape, every stream ends with its last word or an error event, no exception is uncaught, nothing stays
in flight, and memory stays flat. Exits with 1 if any of this was not so.
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

  say(`chaos for ${minutes} min, seed ${seed}`);
  const report = await runChaos({ seed, ms: minutes * 60_000, told: progress });
  if (process.stdout.isTTY) process.stdout.write("\r\u001b[K");
  process.stdout.write(summary(report));
  if (report.violations.length === 0) return say("nothing was lost");
  for (const violation of report.violations.slice(0, 10)) process.stdout.write(`\n${JSON.stringify(violation, null, 2)}\n`);
  say(`${report.violations.length} violations; again: npm run chaos -- --minutes ${minutes} --seed ${seed}`);
  process.exitCode = 1;
});

function progress({ seconds, requests, violations, rssMb }) {
  if (!process.stdout.isTTY) return;
  const line = `${Math.round(seconds)} s, ${requests} requests, ${violations} violations, workerd ${rssMb} MiB`;
  process.stdout.write(`\r\u001b[K${line}`);
}

function summary({ weather, clients, memory }) {
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
  const happened = Object.entries(weather).map(([what, count]) => `${count} ${what}`);
  return `\n${[heads, ...rows].map(line).join("\n")}\n\n${happened.join(", ")}\nworkerd: ${at.join(", ")} MiB after one, two and three thirds\n\n`;
}
