// Runs the command line of the checkout.

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

// Runs a command, and resolves with its exit code and what it printed. `cwd` must be below ROOT. A
// command that takes longer than `timeout` milliseconds is ended.
export async function run(command, args, { cwd = ROOT, env = {}, input = "", timeout } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, timeout });
  child.stdin.on("error", () => {}); // it may end without reading its input
  child.stdin.end(input);
  const closed = new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  const [code, stdout, stderr] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

// The time that a hook needs that runs the command line first: it may have to be compiled.
export const COMPILES = { timeout: 600_000 };

// Runs `switchyard`, with these variables for the gateway.
export const switchyard = (args, { gateway, token, ...options } = {}) =>
  run("cargo", ["run", "--quiet", "--", ...args], {
    ...options,
    env: { SWITCHYARD_URL: gateway ?? "", SWITCHYARD_ADMIN_TOKEN: token ?? "", ...options.env },
  });
