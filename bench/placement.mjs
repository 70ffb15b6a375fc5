// Assigns processors: the gateways have one for themselves; the stub, the load tool and this
// program share another. Measuring then takes no processor time from the gateways. Without
// `taskset` (outside Linux) or with one processor, the system decides.

import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const isPossible = availableParallelism() > 1 && spawnSync("taskset", ["--version"]).status === 0;

/**
 * Moves this program and the processes that it will start off the gateways' processor. Returns
 * whether that was possible.
 */
export function leaveGatewayCore() {
  return (
    isPossible && spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", "1", String(process.pid)]).status === 0
  );
}

/** The command that runs a program on the processor of the gateways. */
export const onGatewayCore = (program, args) =>
  isPossible ? ["taskset", ["--cpu-list", "0", program, ...args]] : [program, args];
