// The experiments of `npm run bench -- --against`. Candidates are another build, a second copy of it,
// and the build of this checkout.

import { ownWorker, workerIn } from "../builds.mjs";
import { gateway } from "../candidates.mjs";
import { bodies, json } from "./answers.mjs";
import { cold } from "./start.mjs";
import { burst, first } from "./streams.mjs";

/**
 * Two processes of the same build differ by some percent as long as they live, because their code and
 * their data lie elsewhere in memory. More rounds with the same processes do not help against that.
 */
const ROUNDS_PER_START = 4;
/** Shorter than usual, since there are many starts: it is alike for all. */
const FIRST_WARM_UP_SECONDS = 3;

/** Each experiment with the metrics that are compared in it. `path`: where the other build is. */
export function experimentsAgainst(path) {
  const other = workerIn(path);
  const candidates = [
    gateway({ name: "other", title: "the other build", worker: () => other }),
    gateway({ name: "copy", title: "a copy of the other build", worker: () => other }),
    gateway({ name: "own", title: "this build", worker: ownWorker }),
  ];
  // Every experiment has all rounds, and turns of the same length.
  const comparing = (experiment, columns, roundsPerStart = ROUNDS_PER_START) => ({
    ...experiment,
    columns,
    roundsPerStart,
    firstWarmUpSeconds: FIRST_WARM_UP_SECONDS,
    stretch: 1,
    rounds: undefined,
  });
  const answers = [json(8, candidates), json(1, candidates), ...bodies(candidates)];
  return [
    ...answers.map((experiment) => comparing(experiment, ["cpuUs", "p50Ms"])),
    comparing(burst(candidates), ["cpuMs"]),
    comparing(first(candidates), ["cpuMs", "firstMs"]),
    comparing(cold({ candidates, count: 1 }), ["coldMs", "coldCpuMs", "firstCpuMs"], 1),
  ];
}
