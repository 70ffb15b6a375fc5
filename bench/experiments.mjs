// What is measured: each experiment puts the same work before some candidates, in turns.

import { check } from "./answer.mjs";
import { direct, passThrough, peek, switchyard } from "./candidates.mjs";
import { load } from "./load.mjs";
import { cpuOf } from "./process.mjs";
import { body } from "./request.mjs";

const three = [passThrough, peek, switchyard];

/** Answers that are whole: throughput, latency, and processor time for each. */
function answers({ name, title, candidates = three, bytes = 1024, connections, answerWith = "completions" }) {
  const request = { model: "chat", bytes };
  return {
    name,
    title,
    candidates,
    columns: ["perSecond", "cpuUs", "p50Ms", "p99Ms"],
    async measure(candidate, gateway, { upstream, seconds, warmUpSeconds }) {
      await upstream.answerWith(answerWith);
      const sent = { ...gateway, body: body(request), connections };
      await check(candidate, gateway, sent);
      await load({ ...sent, seconds: warmUpSeconds });
      const before = gateway.pid && cpuOf(gateway.pid);
      const { requests, perSecond, p50, p99 } = await load({ ...sent, seconds });
      const cpuUs = gateway.pid && (cpuOf(gateway.pid) - before) / 1e3 / requests;
      return { requests, perSecond, cpuUs, p50Ms: p50, p99Ms: p99 };
    },
  };
}

export const experiments = [
  ...[1, 8, 64].map((connections) =>
    answers({
      name: `json-${connections}`,
      title: `JSON of 1 KB, ${connections} connection${connections === 1 ? "" : "s"}`,
      candidates: [direct, ...three],
      connections,
    }),
  ),
];
