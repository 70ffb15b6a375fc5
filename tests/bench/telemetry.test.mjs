import assert from "node:assert/strict";
import { test } from "node:test";
import { bars } from "../../bench/bars.mjs";
import { experiments } from "../../bench/experiments/all.mjs";
import { recordsIn, telemetry } from "../../bench/experiments/telemetry.mjs";
import { judge, summarise } from "../../bench/report.mjs";

const [json] = telemetry;

/** Rounds on a machine whose speed changes, in which telemetry costs this factor. */
const rounds = (factor) =>
  Array.from({ length: 24 }, (_, round) => {
    const cpuUs = 500 * (1 + (round % 5) / 5);
    return { "no-telemetry": { cpuUs }, "no-telemetry-copy": { cpuUs }, telemetry: { cpuUs: cpuUs * factor } };
  });

test("log lines and data points are counted in the output of workerd, and nothing else", () => {
  const line = '{"v":1,"event":"request","outcome":"ok"}';
  const point = '{"indexes":["app"],"blobs":["req_1"],"doubles":[200]}';
  assert.deepEqual(recordsIn(`${line}\n${point}\n${line}\n`), { lines: 2, points: 1 });
  assert.deepEqual(recordsIn("routes: the copy is read\n"), { lines: 0, points: 0 });
});

test("the bars of telemetry name candidates and metrics that are measured", () => {
  const own = bars.filter(({ experiment }) => experiment.startsWith("telemetry-"));
  assert.equal(own.length, telemetry.length);
  for (const { experiment, metric, of, against } of own) {
    const { candidates, columns } = experiments.find(({ name }) => name === experiment);
    const names = candidates.map(({ name }) => name);
    assert.ok(columns.includes(metric) && names.includes(of) && names.includes(against));
  }
});

test("telemetry at its bar meets it, and above it does not", () => {
  const isMet = (factor) => judge({ "telemetry-json": rounds(factor) }).map((bar) => bar.isMet);
  assert.deepEqual(isMet(1.049), [true]);
  assert.deepEqual(isMet(1.051), [false]);
});

test("the note has the ratio of telemetry beside that of two equal processes", () => {
  const { note } = summarise(json, rounds(1.04));
  assert.match(note, /with telemetry \/ without: 1\.040 \(1\.040 to 1\.040\); two processes without: 1\.000/);
});

test("without figures of the processor, the note says so", () => {
  const unknown = rounds(1).map((round) => Object.fromEntries(Object.keys(round).map((name) => [name, {}])));
  assert.match(summarise(json, unknown).note, /without: unknown; two processes without: unknown/);
});
