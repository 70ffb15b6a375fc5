// `npm run bench`: what the gateway costs, beside the least that a Worker can do, or beside another
// build. `npm run bench:peers`: beside other gateways. docs/benchmarks.md says how to read figures.

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureLoadTool, ensurePackages, main, restartOnOwnNode, root, run, say } from "../scripts/setup.mjs";

const DOCS = join(root, "docs/benchmarks.md");

const USAGE = `Measures the built Worker on plain workerd, with a stub upstream, beside two minimal Workers in JavaScript.

npm run bench                                about 20 minutes
npm run bench -- --quick                     some minutes: enough to see whether a change did something
npm run bench -- --only json-8,stream        some experiments, by the beginnings of their names
npm run bench:peers                          beside LiteLLM and Portkey, which it installs on first use
npm run bench -- --against ../before         this build beside that of another checkout, in 25 minutes
npm run bench -- --against ../before --quick a look, in 6 minutes
npm run bench -- --against ../before --only json --rounds 192

  --against PATH a checkout with a built Worker, a folder with \`index.js\`, or a main module
  --only NAMES   experiments, by the beginnings of their names
  --rounds N     how often each candidate has its turn (default 20; with --against 48)
  --seconds N    how long a turn is, after a warm-up (default 0.5)
  --quick        2 rounds, and fewer requests; with --against 12 rounds
  --publish      writes the figures into docs/benchmarks.md too
  --list         the experiments and their candidates
  --help         this text

Builds the Worker of this checkout first. Raw figures and a table in Markdown go to bench/results.

Exit codes: 0 when it has measured, 1 when something went wrong, such as a wrong answer or a request that fails.
With --against: 0 when every measured bar is met, 2 when one is missed. Otherwise a missed bar is no error.
`;

const OPTIONS = {
  against: { type: "string" },
  only: { type: "string", default: "" },
  rounds: { type: "string" },
  seconds: { type: "string" },
  quick: { type: "boolean" },
  peers: { type: "boolean" },
  publish: { type: "boolean" },
  list: { type: "boolean" },
  help: { type: "boolean", short: "h" },
};

const BAR_MISSED = 2;
const DEFAULTS = {
  usual: { rounds: "20", quickRounds: "2" },
  against: { rounds: "48", quickRounds: "12" },
};

main(async () => {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) return void process.stdout.write(USAGE);
  const isAgainst = values.against !== undefined;
  if (isAgainst && (values.peers || values.publish)) throw new Error("--against goes with neither --peers nor --publish");
  await ensurePackages();
  await restartOnOwnNode("bench/main.mjs");
  const defaults = DEFAULTS[isAgainst ? "against" : "usual"];
  const rounds = positive("--rounds", values.rounds ?? (values.quick ? defaults.quickRounds : defaults.rounds));
  if (!Number.isInteger(rounds)) throw new Error(`--rounds ${rounds}: expected a whole number`);
  const seconds = positive("--seconds", values.seconds ?? "0.5");
  const chosen = choose(await experimentsOf(values), values.only);
  if (values.list) return void process.stdout.write(listed(chosen));

  say("building the Worker as it is deployed");
  await run(process.execPath, ["scripts/build.mjs"]);
  const { version: load } = await ensureLoadTool();
  let areMet = true;
  if (isAgainst) {
    areMet = await (await import("./against.mjs")).runAgainst(chosen, { rounds, seconds, load });
  } else {
    if (values.peers) await (await import("./peers/install.mjs")).ensurePeers();
    await measure(chosen, { values, rounds, seconds, load });
  }
  // What still holds a socket open has nothing more to say.
  process.exit(areMet ? 0 : BAR_MISSED);
});

async function experimentsOf({ against, peers }) {
  if (against !== undefined) return (await import("./experiments/against.mjs")).experimentsAgainst(fromCaller(against));
  return (await import(peers ? "./experiments/peers.mjs" : "./experiments/all.mjs")).experiments;
}

/** npm starts a script in the root of the checkout; paths are meant from where npm was called. */
const fromCaller = (path) => resolve(process.env.INIT_CWD ?? ".", path);

async function measure(chosen, { values, rounds, seconds, load }) {
  const [{ leaveGatewayCore }, { machine }, { run: measureAll }, { judge, summarise }, tables, terminal] = await Promise.all(
    ["placement", "machine", "run", "report", "tables", "terminal"].map((name) => import(`./${name}.mjs`)),
  );
  const isPlaced = leaveGatewayCore();
  const facts = machine({ load, isPlaced, rounds, seconds });
  const progress = terminal.onTerminal(chosen, (experiment, results) => {
    const summary = summarise(experiment, results);
    return `\n${tables.aligned(tables.experimentCells(summary))}\n${summary.note ? `${summary.note}\n\n` : ""}`;
  });
  const measured = await measureAll(chosen, { rounds, seconds, isQuick: values.quick, progress });

  const summaries = chosen.map((experiment) => summarise(experiment, measured[experiment.name]));
  const judged = judge(measured);
  if (judged.length > 0) process.stdout.write(`${tables.aligned(tables.barCells(judged))}\n`);
  const text = tables.markdown({ machine: facts, summaries, judged });
  terminal.keep(values.peers ? "peers-" : "", { machine: facts, bars: judged, summaries, rounds: measured }, text);
  if (!values.publish) return;
  const page = Map.groupBy(chosen, ({ figures = values.peers ? "peers" : "bench" }) => figures);
  for (const [name, experiments] of page) {
    const isOfThem = (experiment) => experiments.some((each) => each.name === experiment);
    const part = {
      summaries: summaries.filter((summary) => isOfThem(summary.name)),
      judged: judged.filter((bar) => isOfThem(bar.experiment)),
    };
    publish(name, tables.markdown({ machine: facts, ...part }));
  }
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

/** Puts figures between their marks in the documentation. */
function publish(name, text) {
  const page = readFileSync(DOCS, "utf8");
  const [begin, end] = [`<!-- figures: ${name} -->`, `<!-- end of figures: ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md: the marks ${begin} and ${end} are missing`);
  writeFileSync(DOCS, `${page.slice(0, from + begin.length)}\n\n${text}\n${page.slice(to)}`);
  say("the figures are in docs/benchmarks.md");
}
