// Runs experiments. In each round every candidate has a turn, so that other load on the machine
// affects all candidates alike. Turns are short, rounds are many, and the order of turns changes: a
// machine that is slower for a minute gives no candidate an advantage.

import { cpuOf, waitOf } from "./process.mjs";
import { turnsOf } from "./statistics.mjs";
import { startUpstream } from "./upstream.mjs";

/**
 * V8 optimises code during the first thousands of requests. Later turns only have to fill caches.
 */
const FIRST_WARM_UP_SECONDS = 5;
const WARM_UP = 0.2;

/**
 * Returns the measurements: for each experiment a list of rounds, each with the figures of every
 * candidate by its name. The functions of `progress` are called at the start of an experiment, for each
 * turn, with the rounds of an experiment, and with the log output of gateways for which no failure
 * is expected.
 *
 * An experiment with `roundsPerStart` begins with fresh processes, and has fresh ones again after so
 * many rounds. Otherwise each candidate has one process for the whole run.
 */
export async function run(experiments, { rounds, seconds, isQuick, progress }) {
  const upstream = await startUpstream();
  const running = new Map();
  const started = async (candidate) => {
    if (!running.has(candidate.name)) running.set(candidate.name, await candidate.start(upstream));
    return running.get(candidate.name);
  };
  const listen = ({ candidates }) => {
    for (const candidate of candidates) {
      const complaints = running.get(candidate.name)?.complaints?.();
      if (complaints && !candidate.answerWith) progress.complains(candidate, complaints);
    }
  };
  const stopAll = async () => {
    for (const gateway of running.values()) await gateway.stop();
    running.clear();
  };
  const measured = {};
  try {
    for (const experiment of experiments) {
      progress.begins(experiment);
      const results = (measured[experiment.name] = []);
      // Where an answer takes long, a short turn would measure its beginning and its end.
      const { stretch = 1, rounds: most = rounds, roundsPerStart } = experiment;
      const { firstWarmUpSeconds = FIRST_WARM_UP_SECONDS } = experiment;
      const count = Math.min(Math.ceil(rounds / stretch), most);
      const turn = seconds * stretch;
      for (let round = 0; round < count; round += 1) {
        const startsAnew = roundsPerStart !== undefined && round % roundsPerStart === 0;
        if (startsAnew) {
          listen(experiment);
          await stopAll();
        }
        const warmUpSeconds = round === 0 || startsAnew ? firstWarmUpSeconds : turn * WARM_UP;
        const result = {};
        for (const candidate of turnsOf(experiment.candidates, round)) {
          progress.turn(candidate, round, count);
          const options = { upstream, gateway: () => started(candidate), seconds: turn, warmUpSeconds, isQuick };
          const waited = waiting(running.get(candidate.name));
          const figures = await named(candidate, experiment.measure(candidate, options));
          result[candidate.name] = { ...figures, waited: waited() };
        }
        results.push(result);
      }
      progress.ends(experiment, results);
      listen(experiment);
    }
  } finally {
    await stopAll();
    await upstream.stop();
  }
  return measured;
}

/**
 * Begins a measurement of how busy other programs keep the gateway's processor. At its end: the part
 * of the time in which the gateway wanted to run and had to wait.
 */
function waiting({ pid } = {}) {
  const now = () => ({ ran: cpuOf(pid), waited: waitOf(pid) });
  const before = now();
  return () => {
    const after = now();
    const waited = after.waited - before.waited;
    return waited / (waited + after.ran - before.ran) || undefined;
  };
}

/** An error says whose it is. */
const named = ({ name }, promise) =>
  promise.catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
