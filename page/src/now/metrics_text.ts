// The counters of GET /admin/metrics, read from its text (docs/metrics.md).

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** All samples of one reading, by the text of their series. */
export type Reading = Map<string, Sample>;

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Reads OpenMetrics and Prometheus' text format. What is no sample is passed over. */
export function readMetrics(text: string): Reading {
  const reading: Reading = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const [, name, inner = "", number] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    const value = Number(number);
    if (!Number.isFinite(value)) continue;
    const labels: Record<string, string> = {};
    for (const [, label, raw] of inner.matchAll(LABEL)) labels[label!] = unescape(raw!);
    reading.set(`${name}{${inner}}`, { name, labels, value });
  }
  return reading;
}

function unescape(raw: string): string {
  return raw.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
}

/**
 * What was counted between two readings. A series that the first one lacks began at 0. A counter
 * that is smaller now began again.
 */
export function increases(before: Reading, after: Reading): Sample[] {
  const found: Sample[] = [];
  for (const [series, sample] of after) {
    const old = before.get(series)?.value ?? 0;
    const value = sample.value >= old ? sample.value - old : sample.value;
    // Buckets in which nothing is say where the others begin.
    if (value > 0 || "le" in sample.labels) found.push({ ...sample, value });
  }
  return found;
}
