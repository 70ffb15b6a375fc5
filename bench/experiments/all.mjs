// The experiments of `npm run bench`, in the order in which they run.

import { bodies, failover, graph, json } from "./answers.mjs";
import { cache } from "./cache.mjs";
import { limits } from "./limits.mjs";
import { memory } from "./memory.mjs";
import { cold, wasm } from "./start.mjs";
import { burst, first, paced } from "./streams.mjs";
import { telemetry } from "./telemetry.mjs";

export const experiments = [
  json(1),
  json(8),
  json(64),
  burst(),
  first(),
  paced(),
  ...bodies(),
  graph,
  failover,
  ...telemetry,
  limits,
  cache,
  cold(),
  wasm,
  memory,
];
