// Runs experiments: within each round every candidate has its turn, so that what the machine does meanwhile meets all alike. Turns are
// short and rounds many, and the next round goes the other way: so a machine that grows slower for a minute favours nobody.

import { startUpstream } from "./upstream.mjs";

/** V8 compiles what runs often anew, for some thousand requests long. Later turns only have to fill caches again. */
const FIRST_WARM_UP_SECONDS = 5;
const WARM_UP = 0.2;

/**
 * Gives what was measured: for each experiment a list of rounds, each with the figures of every candidate by its name.
 * `told` hears of each experiment as it begins, of each turn, of each experiment's rounds, and of what gateways wrote to their logs
 * though nothing was to fail.
 */
export async function run(experiments, { rounds, seconds, isQuick, told }) {
  const upstream = await startUpstream();
  const running = new Map();
  const started = async (candidate) => {
    if (!running.has(candidate.name)) running.set(candidate.name, await candidate.start(upstream));
    return running.get(candidate.name);
  };
  const measured = {};
  try {
    for (const experiment of experiments) {
      told.begins(experiment);
      const results = (measured[experiment.name] = []);
      // Where an answer takes long, a short turn would measure its beginning and its end.
      const { stretch = 1, rounds: most = rounds } = experiment;
      const count = Math.min(Math.ceil(rounds / stretch), most);
      const turn = seconds * stretch;
      for (let round = 0; round < count; round += 1) {
        const result = {};
        const warmUpSeconds = round === 0 ? FIRST_WARM_UP_SECONDS : turn * WARM_UP;
        const { candidates } = experiment;
        for (const candidate of round % 2 === 0 ? candidates : candidates.toReversed()) {
          told.turn(candidate, round, count);
          const options = { upstream, gateway: () => started(candidate), seconds: turn, warmUpSeconds, isQuick };
          result[candidate.name] = await named(candidate, experiment.measure(candidate, options));
        }
        results.push(result);
      }
      told.ends(experiment, results);
      for (const candidate of experiment.candidates) {
        const complaints = running.get(candidate.name)?.complaints?.();
        if (complaints && !candidate.answerWith) told.complains(candidate, complaints);
      }
    }
  } finally {
    for (const gateway of running.values()) await gateway.stop();
    await upstream.stop();
  }
  return measured;
}

/** An error says whose it is. */
const named = ({ name }, promise) =>
  promise.catch((error) => {
    throw new Error(`${name}: ${error.message}`);
  });
