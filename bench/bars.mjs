// The bars: the performance goals of Switchyard. A run marks each as met or missed; a missed bar
// does not fail the run.
//
// `ratio`: the metric of Switchyard divided by that of another candidate in the same round.
// `difference`: the metric of Switchyard minus that of the other candidate.

/** The bar for processor time per request that corresponds to a share of the throughput. */
const atMost = (share) => ({ atMost: Number((1 / share).toFixed(2)) });

export const bars = [
  { experiment: "json-8", metric: "perSecond", against: "peek", ratio: { atLeast: 0.85 } },
  { experiment: "json-8", metric: "perSecond", against: "pass-through", ratio: { atLeast: 0.6 } },
  { experiment: "json-1", metric: "p50Ms", against: "pass-through", difference: { atMost: 0.25 } },
  { experiment: "stream-burst", metric: "chunksPerSecond", against: "pass-through", ratio: { atLeast: 0.6 } },
  { experiment: "stream-burst", metric: "cpuMs", against: "pass-through", ratio: atMost(0.6) },
  { experiment: "stream-paced", metric: "cpuMs", against: "pass-through", ratio: atMost(0.6) },
  { experiment: "stream-first", metric: "firstMs", against: "pass-through", difference: { atMost: 0.25 } },
  { experiment: "body-1m", metric: "perSecond", against: "peek", ratio: { atLeast: 1 } },
  { experiment: "body-10m", metric: "perSecond", against: "peek", ratio: { atLeast: 1.4 } },
  { experiment: "graph", metric: "cpuUs", of: "switchyard-large", against: "switchyard", ratio: { atMost: 1.3 } },
  { experiment: "telemetry-json", metric: "cpuUs", of: "telemetry", against: "no-telemetry", ratio: { atMost: 1.05 } },
  { experiment: "telemetry-stream", metric: "cpuMs", of: "telemetry", against: "no-telemetry", ratio: { atMost: 1.02 } },
  { experiment: "limits-json", metric: "cpuUs", of: "limits", against: "no-limits", ratio: { atMost: 1.05 } },
  { experiment: "cache-json", metric: "cpuUs", of: "kept", against: "refreshed", ratio: { atMost: 0.6 } },
  { experiment: "json-8", metric: "perSecond", against: "portkey-workerd", ratio: { atLeast: 1.5 } },
  { experiment: "json-8", metric: "perSecond", against: "portkey-node", ratio: { atLeast: 1.5 } },
];

/** What a build may cost, as a share of what another one costs: `npm run bench -- --against`. */
export const againstBars = [
  { experiment: "json-8", metric: "cpuUs", atMost: 1.03 },
  { experiment: "json-1", metric: "cpuUs", atMost: 1.03 },
  { experiment: "stream-burst", metric: "cpuMs", atMost: 1.03 },
  { experiment: "stream-first", metric: "cpuMs", atMost: 1.03 },
  { experiment: "body-1m", metric: "cpuUs", atMost: 1.03 },
  { experiment: "body-10m", metric: "cpuUs", atMost: 1.03 },
  { experiment: "cold", metric: "coldMs", atMost: 1.05 },
];
