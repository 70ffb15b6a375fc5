// `npm run bench`: what the gateway costs, beside the least that a Worker can do.

import { parseArgs } from "node:util";
import { main, restartOnOwnNode, say } from "../scripts/setup.mjs";

const USAGE = `Measures the built Worker on plain workerd, beside two minimal Workers, with a stub upstream.

npm run bench [-- --rounds N] [--seconds N] [--only NAME,NAME]

  --rounds N   how often each candidate has its turn (default 3)
  --seconds N  how long each turn is (default 4)
  --only NAME  some of the experiments, by the beginnings of their names
  --help       this text
`;

main(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "4" },
      only: { type: "string", default: "" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  await restartOnOwnNode("bench/main.mjs");
  const { experiments } = await import("./experiments.mjs");
  const { startUpstream } = await import("./upstream.mjs");
  const { aligned, barCells, cells, judge, summarise } = await import("./report.mjs");
  const only = values.only.split(",");
  const chosen = experiments.filter(({ name }) => only.some((start) => name.startsWith(start)));
  if (chosen.length === 0) throw new Error(`--only ${values.only}: there are ${experiments.map(({ name }) => name).join(", ")}`);

  const upstream = await startUpstream();
  const running = new Map();
  const measured = {};
  for (const experiment of chosen) {
    say(experiment.title);
    const rounds = (measured[experiment.name] = []);
    for (let round = 0; round < Number(values.rounds); round += 1) {
      rounds.push({});
      for (const candidate of experiment.candidates) {
        if (!running.has(candidate.name)) running.set(candidate.name, await candidate.start(upstream));
        const gateway = running.get(candidate.name);
        const options = { upstream, seconds: Number(values.seconds), warmUpSeconds: 1 };
        rounds[round][candidate.name] = await experiment.measure(candidate, gateway, options);
      }
    }
    process.stdout.write(`\n${aligned(cells(summarise(experiment, rounds)))}\n`);
  }
  process.stdout.write(aligned(barCells(judge(measured))));
  process.exit(0);
});
