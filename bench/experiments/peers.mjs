// The experiments of `npm run bench:peers`.

import { direct, passThrough, peek, switchyard } from "../candidates.mjs";
import { liteLlm, portkeyInNode, portkeyInWorkerd } from "../peers/candidates.mjs";
import { json } from "./answers.mjs";
import { cold } from "./start.mjs";
import { burst, first } from "./streams.mjs";

const gateways = [switchyard, portkeyInWorkerd, portkeyInNode, liteLlm];
const all = [direct, passThrough, peek, ...gateways];
const streaming = all.filter(({ streams = true }) => streams);

export const experiments = [
  ...[1, 8, 64].map((connections) =>
    json(connections, all, { columns: ["perSecond", "cpuUs", "p50Ms", "p99Ms", "memoryMb"] }),
  ),
  burst(streaming),
  first(streaming),
  cold({ candidates: gateways, count: 1 }),
];
