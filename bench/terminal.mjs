// What a run says while it lasts, and where its results stay.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, say } from "../scripts/setup.mjs";

const RESULTS = join(root, "bench/results");

/** What run.mjs tells, on the terminal; `ends` writes what an experiment came to. */
export function onTerminal(experiments, ends) {
  let count = 0;
  return {
    begins: ({ title }) => say(`${(count += 1)} of ${experiments.length}: ${title}`),
    turn: (candidate, round, of) => progress(`  round ${round + 1} of ${of}: ${candidate.title}`),
    complains: (candidate, text) => {
      progress("");
      say(`${candidate.title} wrote to its log:\n${text.split("\n").slice(0, 5).join("\n")}`);
    },
    ends(experiment, rounds) {
      progress("");
      process.stdout.write(ends(experiment, rounds));
    },
  };
}

/** One line that the next one replaces. */
function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
}

/** Keeps the figures of a run as JSON, and its tables as Markdown. */
export function keep(prefix, { machine, ...figures }, markdown) {
  const file = join(RESULTS, `${prefix}${machine.date.replace(/[:.]/g, "-")}`);
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(`${file}.json`, `${JSON.stringify({ machine, ...figures }, null, 2)}\n`);
  writeFileSync(`${file}.md`, markdown);
  say(`saved in ${file}.json and ${file}.md`);
}
