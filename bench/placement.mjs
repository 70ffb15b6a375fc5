// Which processor runs what: the gateways have one for themselves, the stub, the load and this program share another, so that what
// is measured does not wait for what measures. Where `taskset` is missing (outside Linux) or there is one processor, the system decides.

import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const isPossible = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

export const placed = isPossible;

/** The command that runs a gateway. */
export const onGatewayCore = (command, args) => on("0", command, args);

/** The command that runs what stands around it. */
export const onOtherCore = (command, args) => on("1", command, args);

function on(core, command, args) {
  return isPossible ? ["taskset", ["-c", core, command, ...args]] : [command, args];
}
