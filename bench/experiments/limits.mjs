// What limits cost: the same build with and without them, and without them once more.

import { gateway, sampleRoutes } from "../candidates.mjs";
import { json } from "./answers.mjs";

/** As with `--against`: two processes of the same build differ as long as they live. */
const ROUNDS_PER_START = 4;
const FIRST_WARM_UP_SECONDS = 3;

const LARGE = 1_000_000_000;

/** The sample document, whose clients have a limit of each kind. No request is refused. */
const limiting = () => {
  const routes = sampleRoutes();
  const limits = [
    { requests: LARGE, per: "minute" },
    { tokens: LARGE, per: "day" },
    { usd: LARGE, per: "month" },
    { concurrent: 1_000 },
  ];
  const clients = Object.entries(routes.clients).map(([name, client]) => [name, { ...client, limits }]);
  return { ...routes, clients: Object.fromEntries(clients) };
};

const hasLimits = (response) => response.headers.has("x-ratelimit-limit-requests");
const limited = gateway({ name: "limits", title: "with four limits", routes: limiting, ledger: true });

export const limits = {
  ...json(
    8,
    [
      gateway({ name: "no-limits", title: "without" }),
      gateway({ name: "no-limits-copy", title: "without, a copy" }),
      { ...limited, recognises: (response) => limited.recognises(response) && hasLimits(response) },
    ],
    {
      name: "limits-json",
      title: "With and without limits: JSON of 1 KB, 8 connections",
      columns: ["cpuUs", "perSecond", "attempts", "p50Ms", "p99Ms"],
      references: ["no-limits"],
    },
  ),
  roundsPerStart: ROUNDS_PER_START,
  firstWarmUpSeconds: FIRST_WARM_UP_SECONDS,
};
