// Streams of 1,000 events: their throughput, the cost of each, and the delay of events.

import { CHUNKS, EVENTS } from "../stub-answers.mjs";
import { check } from "../check.mjs";
import { direct, passThrough, peek, switchyard } from "../candidates.mjs";
import { load } from "../load.mjs";
import { cpuOf } from "../process.mjs";
import { body } from "../request.mjs";
import { quantile } from "../statistics.mjs";
import { StreamConnection } from "../stream-client.mjs";

const four = [direct, passThrough, peek, switchyard];

const request = () => body({ model: "chat", stream: true });

/** The processor time of the gateway per stream, in milliseconds. */
const cpuMsOf = (pid, before, streams) => pid && (cpuOf(pid) - before) / 1e6 / streams;

/** The upstream sends all events at once, so that the gateway is the bottleneck. */
export const burst = (candidates = four) => ({
  name: "stream-burst",
  title: `Streams of ${CHUNKS.toLocaleString("en")} chunks, sent at once, 8 connections`,
  candidates,
  columns: ["chunksPerSecond", "cpuMs", "p50Ms"],
  stretch: 3,
  async measure(candidate, { gateway, upstream, seconds, warmUpSeconds }) {
    const { pid, url, headers } = await gateway();
    await upstream.answerWith("burst");
    const sent = { url, headers, body: request(), connections: 8 };
    await check(candidate, { ...sent, isStream: true });
    await load({ ...sent, seconds: warmUpSeconds });
    const before = pid && cpuOf(pid);
    const result = await load({ ...sent, seconds });
    return { ...result, chunksPerSecond: result.perSecond * CHUNKS, cpuMs: cpuMsOf(pid, before, result.requests) };
  },
});

/** The time to the first event, for one stream after the other on one connection. */
export const first = (candidates = four) => ({
  name: "stream-first",
  title: "First event of a stream, one connection",
  candidates,
  columns: ["firstMs", "firstP99Ms", "wholeMs"],
  stretch: 2,
  async measure(candidate, { gateway, upstream, seconds, warmUpSeconds }) {
    const { pid, url, headers } = await gateway();
    await upstream.answerWith("burst");
    const sent = { url, headers, body: request() };
    await check(candidate, { ...sent, isStream: true });
    const connection = new StreamConnection(sent);
    await streamsFor(connection, warmUpSeconds);
    const before = pid && cpuOf(pid);
    const streams = await streamsFor(connection, seconds);
    const cpuMs = cpuMsOf(pid, before, streams.length);
    connection.close();
    const firsts = streams.map(({ arrivals }) => arrivals[0]);
    const wholes = streams.map(({ ms }) => ms);
    return {
      streams: streams.length,
      cpuMs,
      firstMs: quantile(firsts, 0.5),
      firstP99Ms: quantile(firsts, 0.99),
      wholeMs: quantile(wholes, 0.5),
    };
  },
});

const PAUSE_MS = 2;
const STREAMS = 16;

/** The upstream pauses between events, as a model does. */
export const paced = (candidates = four) => ({
  name: "stream-paced",
  title: `${STREAMS} streams of ${CHUNKS.toLocaleString("en")} chunks, one each ${PAUSE_MS} ms`,
  candidates,
  columns: ["cpuMs", "gapP50Ms", "gapP99Ms", "together"],
  rounds: 7,
  async measure(candidate, { gateway, upstream }) {
    const { pid, url, headers } = await gateway();
    await upstream.answerWith("paced", { pauseMs: PAUSE_MS });
    const connections = Array.from({ length: STREAMS }, () => new StreamConnection({ url, headers, body: request() }));
    const before = pid && cpuOf(pid);
    const streams = await Promise.all(connections.map(wholeStream));
    const cpuMs = cpuMsOf(pid, before, STREAMS);
    for (const connection of connections) connection.close();
    const gaps = streams.flatMap(({ arrivals }) => arrivals.slice(1).map((ms, index) => ms - arrivals[index]));
    const together = gaps.filter((gap) => gap === 0).length / gaps.length;
    return { cpuMs, gapP50Ms: quantile(gaps, 0.5), gapP99Ms: quantile(gaps, 0.99), together: together * 100 };
  },
});

/** One stream after the other, for so long. */
async function streamsFor(connection, seconds) {
  const until = performance.now() + seconds * 1_000;
  const streams = [];
  while (performance.now() < until) streams.push(await wholeStream(connection));
  return streams;
}

async function wholeStream(connection) {
  const stream = await connection.whole();
  if (stream.arrivals.length !== EVENTS)
    throw new Error(`a stream of ${EVENTS} events came with ${stream.arrivals.length}`);
  return stream;
}
