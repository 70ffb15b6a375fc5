// What telemetry costs: the same build with and without it, and without it once more.

import { setTimeout } from "node:timers/promises";
import { gateway, sampleRoutes } from "../candidates.mjs";
import { check } from "../check.mjs";
import { estimate } from "../comparison.mjs";
import { body } from "../request.mjs";
import { number } from "../tables.mjs";
import { json } from "./answers.mjs";
import { burst } from "./streams.mjs";

/** As with `--against`: two processes of the same build differ as long as they live. */
const ROUNDS_PER_START = 4;
const FIRST_WARM_UP_SECONDS = 3;
const RECORDS_WITHIN_MS = 5_000;

/** The sample document with this share of requests in the log. */
const sampling = (sample) => () => {
  const routes = sampleRoutes();
  return { ...routes, settings: { ...routes.settings, log: { sample } } };
};

const without = { routes: sampling(0), metrics: false };
const candidates = [
  checked(gateway({ name: "no-telemetry", title: "without", ...without }), { lines: 0, points: 0 }),
  checked(gateway({ name: "no-telemetry-copy", title: "without, a copy", ...without }), { lines: 0, points: 0 }),
  // A point is logged by the binding itself, the first one only.
  checked(gateway({ name: "telemetry", title: "with log and points", routes: sampling(1), metrics: true }), {
    lines: 2,
    points: 1,
  }),
];

/**
 * The candidate, which is checked before its first start: a configuration that records nothing would
 * look cheap.
 */
function checked(candidate, expected) {
  let isChecked;
  const start = async (upstream) => {
    isChecked ??= checkRecords(candidate, upstream, expected);
    await isChecked;
    return candidate.start(upstream);
  };
  return { ...candidate, start };
}

/** Sends two requests to a process of its own, and counts what it writes to its output. */
async function checkRecords(candidate, upstream, expected) {
  let output = "";
  let isComplete;
  // A record may come after the answer.
  const complete = new Promise((resolve) => {
    isComplete = () => isEqual(recordsIn(output), expected) && resolve();
  });
  const onOutput = (text) => {
    output += text;
    isComplete();
  };
  const running = await candidate.start(upstream, { onOutput });
  try {
    await upstream.answerWith("completions");
    for (let sent = 0; sent < 2; sent += 1) await check(candidate, { ...running, body: body({ model: "chat" }) });
    isComplete();
    await Promise.race([complete, setTimeout(RECORDS_WITHIN_MS, undefined, { ref: false })]);
  } finally {
    await running.stop();
  }
  const { lines, points } = expected;
  if (!isEqual(recordsIn(output), expected))
    throw new Error(`expected ${lines} lines and ${points} points in the output: ${output.slice(0, 500)}`);
}

const isEqual = (one, other) => one.lines === other.lines && one.points === other.points;

/** How many log lines of requests and how many data points are in the output of workerd. */
export function recordsIn(output) {
  const lines = output.split("\n");
  const count = (isOne) => lines.filter(isOne).length;
  return {
    lines: count((line) => line.includes('"event":"request"')),
    points: count((line) => line.startsWith('{"indexes":')),
  };
}

/** The ratios with their intervals, since the bars are nearly as narrow as the spread of a run. */
const ratios = (metric) => (rounds) => {
  const over = (name) => {
    const known = rounds.filter((round) => round[name][metric] !== undefined);
    if (known.length === 0) return "unknown";
    const values = known.map((round) => round[name][metric] / round["no-telemetry"][metric]);
    const { value, low, high } = estimate(values, ROUNDS_PER_START);
    return `${number(value, 3)} (${number(low, 3)} to ${number(high, 3)})`;
  };
  return `CPU with telemetry / without: ${over("telemetry")}; two processes without: ${over("no-telemetry-copy")}.`;
};

const comparing = (experiment, name, columns) => ({
  ...experiment,
  name,
  title: `With and without telemetry: ${experiment.title}`,
  figures: "telemetry",
  columns,
  references: ["no-telemetry"],
  roundsPerStart: ROUNDS_PER_START,
  firstWarmUpSeconds: FIRST_WARM_UP_SECONDS,
  stretch: 1,
  note: ratios(columns[0]),
});

export const telemetry = [
  comparing(json(8, candidates), "telemetry-json", ["cpuUs", "perSecond", "p50Ms", "p99Ms"]),
  comparing(burst(candidates), "telemetry-stream", ["cpuMs", "chunksPerSecond", "p50Ms"]),
];
