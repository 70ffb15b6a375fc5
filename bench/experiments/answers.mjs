// Answers that are not streams: throughput, latency, and processor time per request.

import { FAILS_ONE_IN } from "../stub-answers.mjs";
import { check } from "../check.mjs";
import { direct, failingOver, hostOnly, large, passThrough, peek, switchyard } from "../candidates.mjs";
import { load } from "../load.mjs";
import { cpuOf, memoryOf } from "../process.mjs";
import { body } from "../request.mjs";
import { median } from "../statistics.mjs";

const MIB = 1024 * 1024;

/** Sends the same request repeatedly over some connections. */
export function answers({ name, title, candidates, connections, bytes = 1024, ...more }) {
  return {
    name,
    title,
    candidates,
    columns: ["perSecond", "cpuUs", "p50Ms", "p99Ms"],
    ...more,
    async measure(candidate, { gateway, upstream, seconds, warmUpSeconds }) {
      const { pid, url, headers } = await gateway();
      await upstream.answerWith(candidate.answerWith ?? "completions");
      const sent = { url, headers: { ...headers, ...candidate.requestHeaders }, body: body({ model: "chat", bytes }), connections };
      await candidate.prepare?.(sent);
      await check(candidate, sent);
      await load({ ...sent, seconds: warmUpSeconds });
      const [calls, cpu] = [await upstream.calls(), pid && cpuOf(pid)];
      const result = await load({ ...sent, seconds });
      const cpuUs = pid && (cpuOf(pid) - cpu) / 1e3 / result.requests;
      const attempts = ((await upstream.calls()) - calls) / result.requests;
      return { ...result, cpuUs, attempts, memoryMb: pid && memoryOf(pid) / MIB };
    },
  };
}

const three = [passThrough, peek, switchyard];

/** JSON of 1 KB over some connections. */
export const json = (connections, candidates = [direct, passThrough, peek, hostOnly, switchyard], more = {}) =>
  answers({
    name: `json-${connections}`,
    title: `JSON of 1 KB, ${connections} connection${connections === 1 ? "" : "s"}`,
    candidates,
    connections,
    ...more,
  });

/** Long conversations. */
export const bodies = (candidates = three) => [
  answers({ name: "body-1m", title: "Request of 1 MiB, 8 connections", candidates, bytes: MIB, connections: 8 }),
  answers({
    name: "body-10m",
    title: "Request of 10 MiB, 4 connections",
    candidates,
    bytes: 10 * MIB,
    connections: 4,
    stretch: 3,
  }),
];

/** The model and the rule of the request are near the end of their lists. */
export const graph = answers({
  name: "graph",
  title: "JSON of 1 KB, 8 connections, 200 deployments and 500 rules",
  candidates: [switchyard, large],
  references: ["switchyard"],
  connections: 8,
});

/**
 * The first target of the node answers one call in three with 503, and the second target serves
 * that request. At this rate no deployment is ejected, so the mixture stays the same: two thirds of
 * the requests make one attempt, and one third makes two. A target that fails each call would be
 * ejected after five, and there would be no failovers to measure.
 */
export const failover = answers({
  name: "failover",
  title: "JSON of 1 KB, 8 connections, one first attempt in three fails",
  candidates: [switchyard, failingOver],
  references: ["switchyard"],
  columns: ["perSecond", "cpuUs", "attempts", "p50Ms", "p99Ms"],
  connections: 8,
  note(rounds) {
    const extra = rounds.map((round) => (round[failingOver.name].cpuUs - round[switchyard.name].cpuUs) * FAILS_ONE_IN);
    return `A request that fails over costs ${Math.round(median(extra))} µs of CPU more than one that does not.`;
  },
});
