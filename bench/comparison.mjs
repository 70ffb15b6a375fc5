// The result of a comparison of two builds: ratios within rounds, how sure they are, which bars are
// met.

import { againstBars } from "./bars.mjs";
import { METRICS } from "./report.mjs";
import { median, medianInterval } from "./statistics.mjs";
import { number } from "./tables.mjs";

/** From which share of the time a gateway waits for its processor, a run says so. */
const DISTURBED = 0.1;
/** With fewer values an interval has less confidence than it should. */
const LEAST_VALUES = 6;

/**
 * One line for each metric of each experiment. `ratio` is this build divided by the geometric mean
 * of the two processes of the other build. `equal` is one of these divided by the other one: by so
 * much two equal builds differ.
 */
export function compare(experiments, measured, bars = againstBars) {
  return experiments.flatMap(({ name, columns, roundsPerStart }) =>
    columns.flatMap((metric) => {
      const rounds = measured[name];
      const known = rounds
        .map(({ other, copy, own }) => ({ other: other[metric], copy: copy[metric], own: own[metric] }))
        .filter(({ other, copy, own }) => other !== undefined && copy !== undefined && own !== undefined);
      if (known.length === 0) return [];
      const ratio = estimate(known.map(({ other, copy, own }) => own / Math.sqrt(other * copy)), roundsPerStart);
      const equal = estimate(known.map(({ other, copy }) => copy / other), roundsPerStart);
      const of = (candidate) => median(known.map((round) => round[candidate]));
      const bar = bars.find((each) => each.experiment === name && each.metric === metric)?.atMost;
      const line = { experiment: name, metric, other: of("other"), own: of("own"), ratio, equal };
      return [{ ...line, isLikeEqual: isLikeEqual(ratio, equal), ...(bar && judged(ratio, bar)) }];
    }),
  );
}

/**
 * The median of ratios, and the interval in which it lies. Rounds with the same processes are not
 * independent of each other, so they count as one value: their median.
 */
export function estimate(ratios, roundsPerStart) {
  const starts = Math.ceil(ratios.length / roundsPerStart);
  const values = Array.from({ length: starts }, (_, start) =>
    median(ratios.slice(start * roundsPerStart, (start + 1) * roundsPerStart)),
  );
  const [low, high] = medianInterval(values);
  return { value: median(values), low, high, count: values.length };
}

/** Whether a ratio is no further from 1 than that of two equal builds may be. */
function isLikeEqual({ value }, equal) {
  const distance = (ratio) => Math.abs(Math.log(ratio));
  return distance(value) <= Math.max(distance(equal.low), distance(equal.high));
}

/** `isSure`: the whole interval is on one side of the bar. */
function judged({ value, low, high, count }, bar) {
  const isMet = value <= bar;
  return { bar, isMet, isSure: count >= LEAST_VALUES && (isMet ? high <= bar : low > bar) };
}

/** Whether other programs disturbed the measurement, as a sentence; empty if they did not. */
export function disturbance(rounds) {
  const shares = rounds.flatMap((round) => Object.values(round).map(({ waited }) => waited)).filter(Number.isFinite);
  const share = shares.length > 0 ? median(shares) : 0;
  if (share < DISTURBED) return "";
  return (
    `Other programs use this machine: the gateways waited for their processor ${Math.round(share * 100)} % of the time ` +
    "in which they wanted it.\nOn a quiet machine the same spread takes fewer rounds.\n"
  );
}

/** The lines as rows of cells. */
export function comparisonCells(lines) {
  const ratioOf = ({ value, low, high }) => `${number(value, 3)} (${number(low, 3)} to ${number(high, 3)})`;
  const rows = lines.map(({ experiment, metric, other, own, ratio, equal, bar, isMet, isSure, isLikeEqual }) => {
    const { label, digits } = METRICS[metric];
    const notes = [
      isLikeEqual && "within the spread of two equal builds",
      isSure === false && "not sure: more rounds",
    ].filter(Boolean);
    return [
      experiment,
      label,
      number(other, digits),
      number(own, digits),
      ratioOf(ratio),
      ratioOf(equal),
      bar === undefined ? "" : `≤ ${bar}`,
      bar === undefined ? "" : isMet ? "met" : "missed",
      notes.join("; "),
    ];
  });
  return [["experiment", "what", "other", "this", "this / other", "two equal builds", "bar", "", ""], ...rows];
}
