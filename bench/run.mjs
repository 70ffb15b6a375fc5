// Runs experiments. Within each round every candidate has its turn, so that what the machine does
// meanwhile affects all alike. Turns are short, rounds are many, and the order of turns changes: a
// machine that grows slower for a minute favours nobody.

import { cpuOf, waitOf } from "./process.mjs";
import { turnsOf } from "./statistics.mjs";
import { startUpstream } from "./upstream.mjs";

/** V8 compiles what runs often anew, for some thousand requests long. Later turns only have to fill caches again. */
const FIRST_WARM_UP_SECONDS = 5;
const WARM_UP = 0.2;

/**
 * Gives what was measured: for each experiment a list of rounds, each with the figures of every
 * candidate by its name. `told` is called when an experiment begins, for each turn, with the rounds
 * of an experiment, and with what gateways wrote to their logs though nothing was to fail.
 *
 * An experiment with `roundsPerStart` begins with fresh processes, and has fresh ones again after so
 * many rounds. Otherwise each candidate has one process for the whole run.
 */
export async function run(experiments, { rounds, seconds, isQuick, told }) {
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
          told.turn(candidate, round, count);
          const options = { upstream, gateway: () => started(candidate), seconds: turn, warmUpSeconds, isQuick };
          const waited = waiting(running.get(candidate.name));
          const figures = await named(candidate, experiment.measure(candidate, options));
          result[candidate.name] = { ...figures, waited: waited() };
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
