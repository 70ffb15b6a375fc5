// Which processor runs what: the gateways have one for themselves, the stub, the load and this program share another, so that what
// is measured does not wait for what measures. Where `taskset` is missing (outside Linux) or there is one processor, the system decides.

import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const isPossible = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

/** Moves this program, and with it all that it starts, off the gateways' processor. Gives whether that was possible. */
export function leaveGatewayCore() {
  return (
    isPossible && spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", "1", String(process.pid)]).status === 0
  );
}

/** The command that runs a gateway on its own processor. */
export const onGatewayCore = (program, args) =>
  isPossible ? ["taskset", ["--cpu-list", "0", program, ...args]] : [program, args];
