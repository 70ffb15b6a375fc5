// Prints figures as tables: aligned text for the terminal, and Markdown.

import { METRICS } from "./report.mjs";

export const number = (value, digits) =>
  value === undefined
    ? ""
    : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/**
 * One experiment as rows of cells, with a head row. The first metric has its spread and its ratios.
 */
export function experimentCells({ columns, references, candidates }) {
  const [first, ...others] = columns;
  const { label, digits } = METRICS[first];
  const heads = [
    "",
    label,
    "least to most",
    ...references.map((name) => `× ${name}`),
    ...others.map((name) => METRICS[name].label),
  ];
  const rows = candidates.map(({ title, figures, ratios }) => [
    title,
    number(figures[first]?.median, digits),
    figures[first] && figures[first].min < figures[first].max
      ? `${number(figures[first].min, digits)} to ${number(figures[first].max, digits)}`
      : "",
    ...ratios.map(({ value }) => number(value, 2)),
    ...others.map((name) => number(figures[name]?.median, METRICS[name].digits)),
  ]);
  return [heads, ...rows];
}

/** The bars as rows of cells. */
export function barCells(judged) {
  const rows = judged.map(({ experiment, metric, of, against, ratio, difference, value, half, isMet }) => {
    const { atLeast, atMost } = ratio ?? difference;
    const bar = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
    return [
      experiment,
      `${METRICS[metric].label}: ${of} ${ratio ? "/" : "−"} ${against}`,
      bar,
      number(value, 2),
      half.map((end) => number(end, 2)).join(" to "),
      isMet ? "met" : "missed",
    ];
  });
  return [["experiment", "what", "bar", "reached", "half of the rounds", ""], ...rows];
}

/** Cells as text in columns, with words left-aligned and numbers right-aligned. */
export function aligned(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const isNumber = rows[0].map((_, column) => rows.slice(1).every((row) => /^[\d.,≤≥ −]*( to .*)?$/.test(row[column])));
  const line = (row) =>
    row.map((cell, column) => cell[isNumber[column] ? "padStart" : "padEnd"](widths[column])).join("  ");
  return `${rows.map((row) => line(row).trimEnd()).join("\n")}\n`;
}

export function markdownTable([heads, ...rows]) {
  const line = (row) => `| ${row.join(" | ")} |`;
  return `${[line(heads), `|${heads.map((_, column) => (column ? "--:" : "---")).join("|")}|`, ...rows.map(line)].join("\n")}\n`;
}

/** What a run was made on and with, as a line of text. */
export const factsOf = (machine) =>
  `${machine.date.slice(0, 10)}, commit ${machine.commit}, workerd ${machine.workerd}, Node ${machine.node}, ${machine.load}; \
${machine.processors} × ${machine.processor}, ${machine.system}; ${machine.rounds} rounds of ${machine.seconds} s.`;

/** A whole run. */
export function markdown({ machine, summaries, judged }) {
  const sections = summaries.map((summary) => {
    const note = summary.note ? `\n${summary.note}\n` : "";
    return `### ${summary.title}\n\n\`${summary.name}\`\n\n${markdownTable(experimentCells(summary))}${note}`;
  });
  const bars = judged.length > 0 ? `\n### Bars\n\n${markdownTable(barCells(judged))}` : "";
  return `${factsOf(machine)}\n${bars}\n${sections.join("\n")}`;
}
