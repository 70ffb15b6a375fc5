// Runs experiments. In each round every candidate has a turn, so that other load on the machine
// affects all candidates alike. Turns are short, rounds are many, and the order of turns changes: a
// machine that is slower for a minute gives no candidate an advantage.

import { turnsOf } from "./statistics.mjs";
import { startUpstream } from "./upstream.mjs";

/**
 * V8 optimises code during the first thousands of requests. Later turns only have to fill caches.
 */
const FIRST_WARM_UP_SECONDS = 5;
const WARM_UP = 0.2;

/**
 * Returns the measurements: for each experiment a list of rounds, each with the figures of every
 * candidate by its name. The functions of `told` are called at the start of an experiment, for each
 * turn, with the rounds of an experiment, and with the log output of gateways for which no failure
 * is expected.
 *
 * With `roundsPerStart`, each experiment starts new processes, and again after that many rounds.
 * Without it, each candidate has one process for the whole run.
 */
export async function run(experiments, { rounds, seconds, isQuick, roundsPerStart, told }) {
  const upstream = await startUpstream();
  const running = new Map();
  const started = async (candidate) => {
    if (!running.has(candidate.name)) running.set(candidate.name, await candidate.start(upstream));
    return running.get(candidate.name);
  };
  const listen = ({ candidates }) => {
    for (const candidate of candidates) {
      const complaints = running.get(candidate.name)?.complaints?.();
      if (complaints && !candidate.answerWith) told.complains(candidate, complaints);
    }
  };
  const stopAll = async () => {
    for (const gateway of running.values()) await gateway.stop();
    running.clear();
  };
  const measured = {};
  try {
    for (const experiment of experiments) {
      told.begins(experiment);
      const results = (measured[experiment.name] = []);
      // If an answer takes long, a short turn would mostly measure its beginning and its end.
      const { stretch = 1, rounds: most = rounds } = experiment;
      const count = Math.min(Math.ceil(rounds / stretch), most);
      const turn = seconds * stretch;
      for (let round = 0; round < count; round += 1) {
        const startsAnew = roundsPerStart !== undefined && round % roundsPerStart === 0;
        if (startsAnew) {
          listen(experiment);
          await stopAll();
        }
        const warmUpSeconds = round === 0 || startsAnew ? FIRST_WARM_UP_SECONDS : turn * WARM_UP;
        const result = {};
        for (const candidate of turnsOf(experiment.candidates, round)) {
          told.turn(candidate, round, count);
          const options = { upstream, gateway: () => started(candidate), seconds: turn, warmUpSeconds, isQuick };
          result[candidate.name] = await named(candidate, experiment.measure(candidate, options));
        }
        results.push(result);
      }
      told.ends(experiment, results);
      listen(experiment);
    }
  } finally {
    await stopAll();
    await upstream.stop();
  }
  return measured;
}

/** Adds the name of the candidate to an error. */
const named = ({ name }, promise) =>
  promise.catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
