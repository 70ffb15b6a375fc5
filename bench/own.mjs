// The processes and the temporary folders of a run. All are removed, however the run ends.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const running = new Set();
const folders = new Set();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) remove(folder);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** Starts a process. `command` is [program, arguments], as from placement.mjs. */
export function start([program, args], options = {}) {
  const child = spawn(program, args, options);
  running.add(child);
  child.ended = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(`it ended with ${signal ?? code}`));
  }).finally(() => running.delete(child));
  return child;
}

/** Ends a process and waits for its exit. */
export async function stop(child) {
  if (running.has(child)) child.kill("SIGKILL");
  await child.ended;
}

/** Runs a program to its end. Returns its output. */
export async function output(command, options = {}) {
  const child = start(command, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (texts[name] += text));
  await new Promise((resolve) => child.on("close", resolve).on("error", resolve));
  if (child.exitCode !== 0)
    throw new Error(`${command.flat().join(" ")}: ${await child.ended}\n${texts.stderr}${texts.stdout}`);
  return texts.stdout;
}

/** Creates a temporary folder. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "switchyard-bench-"));
  folders.add(folder);
  return folder;
}

export function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}
