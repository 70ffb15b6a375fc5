// `npm run bench` measures the cost of the gateway and compares it with minimal Workers.
// `npm run bench:peers` compares it with other gateways. docs/benchmarks.md explains the figures.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureLoadTool, ensurePackages, main, restartOnOwnNode, root, run, say } from "../scripts/setup.mjs";

const DOCS = join(root, "docs/benchmarks.md");

const USAGE = `Measures the built Worker on plain workerd, with a stub upstream, beside two minimal Workers in JavaScript.

npm run bench                                about 20 minutes
npm run bench -- --quick                     some minutes: enough to see whether a change did something
npm run bench -- --only json-8,stream        some experiments, by the beginnings of their names
npm run bench:peers                          beside LiteLLM and Portkey, which it installs on first use

  --only NAMES   experiments, by the beginnings of their names
  --rounds N     how often each candidate has its turn (default 20)
  --seconds N    how long a turn is, after a warm-up (default 0.5)
  --quick        2 rounds, and fewer requests
  --publish      writes the figures into docs/benchmarks.md too
  --list         the experiments and their candidates
  --help         this text

Builds the Worker first. Raw figures and a table in Markdown go to bench/results. Missing a bar is no error; a wrong
answer is, and so is a request that fails.
`;

const OPTIONS = {
  only: { type: "string", default: "" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  quick: { type: "boolean" },
  peers: { type: "boolean" },
  publish: { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

main(async () => {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return void process.stdout.write(USAGE);
  await ensurePackages();
  await restartOnOwnNode("bench/main.mjs");
  const rounds = positive("--rounds", values.rounds ?? (values.quick ? "2" : "20"));
  if (!Number.isInteger(rounds)) throw new Error(`--rounds ${rounds}: expected a whole number`);
  const seconds = positive("--seconds", values.seconds ?? "0.5");
  const { experiments } = await import(values.peers ? "./experiments/peers.mjs" : "./experiments/all.mjs");
  const chosen = choose(experiments, values.only);
  if (values.list) return void process.stdout.write(listed(chosen));

  say("building the Worker as it is deployed");
  await run(process.execPath, ["scripts/build.mjs"]);
  const { version: load } = await ensureLoadTool();
  if (values.peers) await (await import("./peers/install.mjs")).ensurePeers();
  await measure(chosen, { values, rounds, seconds, load });
  // Sockets that are still open must not keep this process running.
  process.exit(0);
});

async function measure(chosen, { values, rounds, seconds, load }) {
  const [{ leaveGatewayCore }, { machine }, { run: measureAll }, { judge, summarise }, tables] = await Promise.all(
    ["placement", "machine", "run", "report", "tables"].map((name) => import(`./${name}.mjs`)),
  );
  const isPlaced = leaveGatewayCore();
  const facts = machine({ load, isPlaced, rounds, seconds });
  let count = 0;
  const told = {
    begins: ({ title }) => say(`${(count += 1)} of ${chosen.length}: ${title}`),
    turn: (candidate, round, of) => progress(`  round ${round + 1} of ${of}: ${candidate.title}`),
    complains: (candidate, text) =>
      say(`${candidate.title} wrote to its log:\n${text.split("\n").slice(0, 5).join("\n")}`),
    ends: (experiment, results) => {
      progress("");
      const summary = summarise(experiment, results);
      process.stdout.write(`\n${tables.aligned(tables.experimentCells(summary))}\n`);
      if (summary.note) process.stdout.write(`${summary.note}\n\n`);
    },
  };
  const measured = await measureAll(chosen, { rounds, seconds, isQuick: values.quick, told });

  const summaries = chosen.map((experiment) => summarise(experiment, measured[experiment.name]));
  const judged = judge(measured);
  if (judged.length > 0) process.stdout.write(`${tables.aligned(tables.barCells(judged))}\n`);
  const text = tables.markdown({ machine: facts, summaries, judged });
  const file = join(root, "bench/results", `${values.peers ? "peers-" : ""}${facts.date.replace(/[:.]/g, "-")}`);
  mkdirSync(join(root, "bench/results"), { recursive: true });
  writeFileSync(
    `${file}.json`,
    `${JSON.stringify({ machine: facts, bars: judged, summaries, rounds: measured }, null, 2)}\n`,
  );
  writeFileSync(`${file}.md`, text);
  say(`kept in ${file}.json and ${file}.md`);
  if (values.publish) publish(values.peers ? "peers" : "bench", text);
}

function positive(option, text) {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0)) throw new Error(`${option} ${text}: expected a number above 0`);
  return value;
}

function choose(experiments, only) {
  const starts = only.split(",").map((start) => start.trim());
  const unknown = starts.filter((start) => !experiments.some(({ name }) => name.startsWith(start)));
  const names = experiments.map(({ name }) => name).join(", ");
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(",")}: no such experiment; there are ${names}`);
  return experiments.filter(({ name }) => starts.some((start) => name.startsWith(start)));
}

const listed = (experiments) =>
  experiments
    .map(
      ({ name, title, candidates }) =>
        `${name}\n  ${title}\n  ${candidates.map((candidate) => candidate.name).join(", ")}\n`,
    )
    .join("");

/** Prints a line that replaces the one before. */
function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${text}`);
}

/** Writes the figures between their marks in docs/benchmarks.md. */
function publish(name, text) {
  const page = readFileSync(DOCS, "utf8");
  const [begin, end] = [`<!-- figures: ${name} -->`, `<!-- end of figures: ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md: the marks ${begin} and ${end} are missing`);
  writeFileSync(DOCS, `${page.slice(0, from + begin.length)}\n\n${text}\n${page.slice(to)}`);
  say("the figures are in docs/benchmarks.md");
}
