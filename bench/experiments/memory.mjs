// The RAM of a new process: after its first answer, after many requests, and with many open
// streams.

import { check } from "../check.mjs";
import { passThrough, peek, switchyard } from "../candidates.mjs";
import { load } from "../load.mjs";
import { memoryOf } from "../process.mjs";
import { body } from "../request.mjs";
import { StreamConnection } from "../stream-client.mjs";

const REQUESTS = 100_000;
const STREAMS = 500;

export const memory = {
  name: "memory",
  title: `Memory of the process: after ${REQUESTS.toLocaleString("en")} requests, and with ${STREAMS} streams open`,
  candidates: [passThrough, peek, switchyard],
  references: ["peek"],
  columns: ["afterMb", "openMb", "startMb"],
  rounds: 1,
  async measure(candidate, { upstream, isQuick }) {
    const gateway = await candidate.start(upstream);
    const mb = () => memoryOf(gateway.pid) / 1024 / 1024;
    try {
      const sent = { url: gateway.url, headers: gateway.headers, body: body({ model: "chat" }), connections: 8 };
      await upstream.answerWith("completions");
      await check(candidate, sent);
      const startMb = mb();
      await load({ ...sent, requests: isQuick ? REQUESTS / 10 : REQUESTS });
      const afterMb = mb();
      await upstream.answerWith("held");
      const stream = { ...sent, body: body({ model: "chat", stream: true }) };
      const connections = Array.from({ length: STREAMS }, () => new StreamConnection(stream));
      await Promise.all(connections.map((connection) => connection.begin()));
      const openMb = mb();
      for (const connection of connections) connection.close();
      return { startMb, afterMb, openMb };
    } finally {
      await gateway.stop();
    }
  },
};
