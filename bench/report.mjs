// Computes figures from the rounds of a run: medians, spread, ratios, and the bars that were met.

import { bars } from "./bars.mjs";
import { median, quantile, spread } from "./statistics.mjs";

/** The label and the number of digits of each metric. */
export const METRICS = {
  perSecond: { label: "requests/s", digits: 0 },
  chunksPerSecond: { label: "chunks/s", digits: 0 },
  cpuUs: { label: "CPU µs", digits: 0 },
  cpuMs: { label: "CPU ms", digits: 1 },
  p50Ms: { label: "p50 ms", digits: 2 },
  p99Ms: { label: "p99 ms", digits: 2 },
  attempts: { label: "attempts", digits: 2 },
  memoryMb: { label: "MiB after it", digits: 0 },
  firstMs: { label: "first p50 ms", digits: 2 },
  firstP99Ms: { label: "first p99 ms", digits: 2 },
  wholeMs: { label: "whole p50 ms", digits: 2 },
  gapP50Ms: { label: "gap p50 ms", digits: 2 },
  gapP99Ms: { label: "gap p99 ms", digits: 2 },
  together: { label: "% joined", digits: 1 },
  coldMs: { label: "from start ms", digits: 0 },
  firstRequestMs: { label: "first request ms", digits: 0 },
  coldCpuMs: { label: "CPU from start ms", digits: 0 },
  firstCpuMs: { label: "first request CPU ms", digits: 0 },
  compileMs: { label: "compile ms", digits: 1 },
  instantiateMs: { label: "instantiate ms", digits: 1 },
  kib: { label: "KiB", digits: 0 },
  startMb: { label: "at first MiB", digits: 0 },
  afterMb: { label: "after requests MiB", digits: 0 },
  openMb: { label: "streams open MiB", digits: 0 },
};
const REFERENCES = ["pass-through", "peek"];

/**
 * Medians, spread and ratios of one experiment. `rounds`: for each round the figures by candidate.
 */
export function summarise({ name, title, columns, candidates, references = REFERENCES, note }, rounds) {
  const figuresOf = (candidate) =>
    Object.fromEntries(columns.map((metric) => [metric, spread(rounds.map((round) => round[candidate]?.[metric]))]));
  const ratiosOf = (candidate) =>
    references.map((against) => ({ against, value: spread(compared(rounds, candidate, against, columns[0], divide))?.median }));
  return {
    name,
    title,
    columns,
    references,
    candidates: candidates.map((candidate) => ({
      name: candidate.name,
      title: candidate.title,
      figures: figuresOf(candidate.name),
      ratios: ratiosOf(candidate.name),
    })),
    note: note?.(rounds),
  };
}

const divide = (one, other) => one / other;
const subtract = (one, other) => one - other;

/** For each round the comparison of two candidates; rounds without both are left out. */
function compared(rounds, name, against, metric, operation) {
  const pairs = rounds.map((round) => [round[name]?.[metric], round[against]?.[metric]]);
  return pairs.filter(([one, other]) => one !== undefined && other !== undefined).map((pair) => operation(...pair));
}

/**
 * The bars that were measured: the median, the range of the middle half of the rounds, and whether
 * it is met.
 */
export function judge(measured) {
  return bars.flatMap((bar) => {
    const { experiment, metric, of = "switchyard", against, ratio, difference } = bar;
    const rounds = measured[experiment];
    const values = compared(rounds ?? [], of, against, metric, ratio ? divide : subtract);
    if (values.length === 0) return [];
    const value = median(values);
    const half = [quantile(values, 0.25), quantile(values, 0.75)];
    const { atLeast, atMost } = ratio ?? difference;
    return [{ ...bar, of, value, half, isMet: atLeast === undefined ? value <= atMost : value >= atLeast }];
  });
}
