// Turns the rounds of a run into figures: a table for each experiment, and the bars.

import { bars } from "./bars.mjs";
import { median, spread } from "./statistics.mjs";

/** How each metric is called and written. */
const METRICS = {
  perSecond: { label: "requests/s", digits: 0 },
  cpuUs: { label: "CPU µs", digits: 0 },
  p50Ms: { label: "p50 ms", digits: 2 },
  p99Ms: { label: "p99 ms", digits: 2 },
};
const REFERENCES = ["pass-through", "peek"];

/** Medians, spread and ratios of one experiment. `rounds`: for each round what was measured, by candidate. */
export function summarise(experiment, rounds) {
  const [main] = experiment.columns;
  const candidates = experiment.candidates.map(({ name, title }) => {
    const of = (metric) => spread(rounds.map((round) => round[name]?.[metric]));
    const figures = Object.fromEntries(experiment.columns.map((metric) => [metric, of(metric)]));
    const ratios = Object.fromEntries(REFERENCES.map((against) => [against, compared(rounds, name, against, main, divide)]));
    return { name, title, figures, ratios };
  });
  return { name: experiment.name, title: experiment.title, columns: experiment.columns, candidates };
}

const divide = (one, other) => one / other;
const subtract = (one, other) => one - other;

/** Median over the rounds of what a pair measured within the same round. */
function compared(rounds, name, against, metric, operation) {
  const pairs = rounds.map((round) => [round[name]?.[metric], round[against]?.[metric]]);
  const values = pairs.filter(([one, other]) => one !== undefined && other !== undefined).map((pair) => operation(...pair));
  return values.length > 0 ? median(values) : undefined;
}

/** Each bar with what was reached; without those that were not measured. */
export function judge(measured) {
  return bars.flatMap((bar) => {
    const rounds = measured[bar.experiment];
    const value = rounds && compared(rounds, bar.of ?? "switchyard", bar.against, bar.metric, bar.ratio ? divide : subtract);
    if (value === undefined) return [];
    const { atLeast, atMost } = bar.ratio ?? bar.difference;
    return [{ ...bar, value, isMet: atLeast === undefined ? value <= atMost : value >= atLeast }];
  });
}

const number = (value, digits) =>
  value === undefined ? "" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** One experiment as rows of cells, the heads first. */
export function cells({ columns, candidates }) {
  const [main] = columns;
  const { digits } = METRICS[main];
  const heads = [
    "",
    METRICS[main].label,
    "least–most",
    ...REFERENCES.map((name) => `× ${name}`),
    ...columns.slice(1).map((metric) => METRICS[metric].label),
  ];
  const rows = candidates.map(({ title, figures, ratios }) => [
    title,
    number(figures[main]?.median, digits),
    figures[main] ? `${number(figures[main].min, digits)}–${number(figures[main].max, digits)}` : "",
    ...REFERENCES.map((name) => number(ratios[name], 2)),
    ...columns.slice(1).map((metric) => number(figures[metric]?.median, METRICS[metric].digits)),
  ]);
  return [heads, ...rows];
}

/** The bars as rows of cells. */
export function barCells(judged) {
  const rows = judged.map(({ experiment, metric, of = "switchyard", against, ratio, difference, value, isMet }) => {
    const sign = ratio ? "/" : "−";
    const { atLeast, atMost } = ratio ?? difference;
    const bar = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    return [experiment, `${METRICS[metric].label}: ${of} ${sign} ${against}`, bar, number(value, 2), isMet ? "met" : "missed"];
  });
  return [["experiment", "what", "bar", "reached", ""], ...rows];
}

/** Cells as text in columns. */
export function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) => row.map((cell, column) => cell[column ? "padStart" : "padEnd"](widths[column])).join("  ");
  return `${rows.map((row) => line(row).trimEnd()).join("\n")}\n`;
}
