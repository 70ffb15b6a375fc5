// What a process has used, from Linux's /proc. Other systems give undefined, and the report leaves those columns empty.

import { readFileSync, readdirSync } from "node:fs";

/** Processor time of all threads of a process in nanoseconds, user and system. The scheduler counts it exactly, ticks do not. */
export function cpuOf(pid) {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    return tasks.reduce((sum, task) => sum + Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[0]), 0);
  } catch {
    return undefined;
  }
}

/** Memory that a process holds in RAM, in bytes. */
export function memoryOf(pid) {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** A thread or a process that has ended meanwhile has used nothing more. */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "0";
  }
}
