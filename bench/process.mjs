// The resources that a process uses, from /proc of Linux. Undefined on other systems, where the
// report leaves these columns empty.

import { readFileSync, readdirSync } from "node:fs";

/**
 * Processor time of all threads of a process in nanoseconds, user and system. The scheduler counts it
 * exactly, ticks do not.
 */
export const cpuOf = (pid) => scheduled(pid, 0);

/** For how many nanoseconds they were ready to run while others had the processor. */
export const waitOf = (pid) => scheduled(pid, 1);

function scheduled(pid, field) {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.reduce((sum, task) => sum + Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[field]), 0);
  } catch {
    return undefined;
  }
}

/** The memory of a process in RAM, in bytes. */
export function memoryOf(pid) {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Empty for a thread or process that has ended. */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "0 0";
  }
}
