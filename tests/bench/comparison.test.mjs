import assert from "node:assert/strict";
import { test } from "node:test";
import { compare, comparisonCells, disturbance } from "../../bench/comparison.mjs";

const experiments = [{ name: "json-8", columns: ["cpuUs", "p50Ms"], roundsPerStart: 1 }];
const bars = [{ experiment: "json-8", metric: "cpuUs", atMost: 1.03 }];

/** Rounds on a machine whose speed changes. `copy` and `own` are factors of the other build's time. */
const rounds = (copy, own) =>
  Array.from({ length: 20 }, (_, round) => {
    const other = 500 * (1 + (round % 5) / 5);
    const noise = 1 + ((round % 3) - 1) / 200;
    return Object.fromEntries(
      Object.entries({ other: 1, copy: copy * noise, own: own * noise }).map(([name, factor]) => [
        name,
        { cpuUs: other * factor, p50Ms: (other * factor) / 100 },
      ]),
    );
  });
const linesOf = (copy, own) => compare(experiments, { "json-8": rounds(copy, own) }, bars);

test("a ratio is taken within each round, so the speed of the machine does not count", () => {
  const [cpu, p50] = linesOf(1, 1.1);
  assert.ok(Math.abs(cpu.ratio.value - 1.1) < 0.001);
  assert.ok(cpu.ratio.high - cpu.ratio.low < 0.02);
  assert.equal(p50.metric, "p50Ms");
});

test("this build is compared with both processes of the other one", () => {
  const [line] = compare(experiments, { "json-8": [{ other: { cpuUs: 80 }, copy: { cpuUs: 125 }, own: { cpuUs: 120 } }] }, bars);
  assert.equal(line.ratio.value, 1.2);
});

test("a bar is met or missed, and only where there is one", () => {
  const [missed, without] = linesOf(1, 1.1);
  assert.deepEqual([missed.isMet, missed.isSure, missed.isLikeEqual], [false, true, false]);
  assert.equal(without.isMet, undefined);
  const [met] = linesOf(1, 0.9);
  assert.deepEqual([met.isMet, met.isSure, met.isLikeEqual], [true, true, false]);
});

test("an interval that holds the bar makes the verdict unsure", () => {
  assert.equal(linesOf(1, 1.029)[0].isSure, false);
  assert.equal(linesOf(1, 1.031)[0].isSure, false);
});

test("few values make the verdict unsure", () => {
  const measured = { "json-8": rounds(1, 0.9).slice(0, 5) };
  assert.equal(compare(experiments, measured, bars)[0].isSure, false);
});

test("a ratio no further from 1 than that of two equal builds is marked", () => {
  assert.equal(linesOf(1.02, 1.02)[0].isLikeEqual, true);
  assert.equal(linesOf(0.98, 1)[0].isLikeEqual, true);
  assert.equal(linesOf(1, 1.02)[0].isLikeEqual, false);
});

test("what was not measured has no line", () => {
  const [line, ...others] = compare(experiments, { "json-8": [{ other: { p50Ms: 2 }, copy: { p50Ms: 2 }, own: { p50Ms: 3 } }] });
  assert.equal(line.metric, "p50Ms");
  assert.deepEqual(others, []);
});

test("the table has a row for each line, and says what is to be known of it", () => {
  const [heads, cpu, p50] = comparisonCells(linesOf(1.02, 1.01));
  assert.equal(heads.length, cpu.length);
  assert.ok(cpu.includes("≤ 1.03") && cpu.includes("met") && cpu.includes("within the spread of two equal builds"));
  assert.ok(p50.includes("p50 ms"));
});

test("rounds with the same processes count as one value", () => {
  const own = [1, 1, 1, 9, 2, 2, 2, 2];
  const measured = { "json-8": own.map((cpuUs) => ({ other: { cpuUs: 1 }, copy: { cpuUs: 1 }, own: { cpuUs } })) };
  const [{ ratio }] = compare([{ name: "json-8", columns: ["cpuUs"], roundsPerStart: 4 }], measured, bars);
  assert.deepEqual(ratio, { value: 1.5, low: 1, high: 2, count: 2 });
});

test("a run says that gateways had to wait for their processor", () => {
  const round = (waited) => ({ other: { waited }, copy: { waited }, own: { waited } });
  assert.match(disturbance([round(0.5), round(0.4), round(0.6)]), /waited for their processor 50 % of the time/);
  assert.equal(disturbance([round(0.01)]), "");
  assert.equal(disturbance([round(undefined)]), "");
});
