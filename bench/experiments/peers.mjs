// The experiments of `npm run bench:peers`.

import { direct, passThrough, peek, switchyard } from "../candidates.mjs";
import { liteLlm, portkeyInNode, portkeyInWorkerd } from "../peers/candidates.mjs";
import { json } from "./answers.mjs";
import { memory } from "./memory.mjs";
import { cold } from "./start.mjs";
import { burst, first } from "./streams.mjs";

const gateways = [switchyard, portkeyInWorkerd, portkeyInNode, liteLlm];
const all = [direct, passThrough, peek, ...gateways];

export const experiments = [json(1, all), json(8, all), json(64, all), burst(all), first(all), cold(gateways), memory(gateways)];
