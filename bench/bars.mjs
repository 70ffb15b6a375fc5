// The bars: what Switchyard is to reach, in one place. A run marks each as met or missed and fails for none of them.
//
// `ratio`: that metric of Switchyard divided by that of another candidate, in the same round. `difference`: the one less the other.

export const bars = [
  { experiment: "json-8", metric: "perSecond", against: "peek", ratio: { atLeast: 0.85 } },
  { experiment: "json-8", metric: "perSecond", against: "pass-through", ratio: { atLeast: 0.6 } },
  { experiment: "json-1", metric: "p50Ms", against: "pass-through", difference: { atMost: 0.25 } },
];
