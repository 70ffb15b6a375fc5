// What the project needs beyond rustup and Node, installed on first use and pinned: npm packages, the wasm32 target and
// the tool that binds Rust to JavaScript. Everything comes from the package registries, so it works with or without access to
// anything else. A second run only compares versions.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What the Worker is compiled for. */
export const triple = "wasm32-unknown-unknown";
export const bin = (name) => join(root, "node_modules", ".bin", name);

// The command line of wasm-bindgen must be of the very version of the crate in Cargo.toml.
const tools = [{ crate: "wasm-bindgen-cli", binary: "wasm-bindgen", version: "0.2.129" }];
// What only `npm run bench` needs; see bench/load.mjs.
const loadTool = { crate: "oha", binary: "oha", version: "1.16.0" };
const tool = (name) => join(root, ".tools", "bin", name);

/** The environment of commands that call wrangler. */
export const quiet = () => ({ ...process.env, WRANGLER_SEND_METRICS: "false" });

export const wasmBindgen = tool("wasm-bindgen");

/** Runs a command in the project's root with its output on the terminal; throws when it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    child.on("error", (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on("exit", (code, signal) =>
      code === 0
        ? resolve()
        : reject(Object.assign(new Error(`\`${[command, ...args].join(" ")}\` ended with ${signal ?? code}`), { exitCode: code })),
    );
  });
}

/** npm packages, as the lock file says. */
export async function ensurePackages() {
  const installed = join(root, "node_modules", ".package-lock.json");
  const isCurrent = () => {
    if (!existsSync(installed) || !existsSync(bin("node"))) return false;
    const has = JSON.parse(readFileSync(installed, "utf8")).packages;
    const wants = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
    return Object.entries(wants).every(
      ([path, { version, optional }]) => path === "" || optional || has[path]?.version === version,
    );
  };
  if (isCurrent()) return;
  say("installing npm packages");
  await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** The wasm32 target and the build tool. */
export async function ensureRust() {
  if (spawnSync("cargo", ["--version"], { cwd: root }).status !== 0) {
    throw new Error("Rust is missing. Install it with rustup (https://rustup.rs), then run this again.");
  }
  const targets = spawnSync("rustup", ["target", "list", "--installed"], { cwd: root, encoding: "utf8" });
  if (targets.status === 0 && !targets.stdout.split("\n").includes(triple)) {
    say(`adding the Rust target ${triple}`);
    await run("rustup", ["target", "add", triple]);
  }
  for (const each of tools) await ensureTool(each);
}

/** The load tool of `npm run bench`; gives its path and its version. */
export async function ensureLoadTool() {
  await ensureTool(loadTool);
  return { path: tool(loadTool.binary), version: `${loadTool.binary} ${loadTool.version}` };
}

async function ensureTool({ crate, binary, version }) {
  const has = spawnSync(tool(binary), ["--version"], { encoding: "utf8" });
  if (has.stdout?.includes(version)) return;
  say(`building ${crate} ${version} (a few minutes, once)`);
  await run("cargo", ["install", crate, "--version", version, "--locked", "--force", "--root", join(root, ".tools")]);
}

/** Everything. */
export async function ensureAll() {
  await ensurePackages();
  await ensureRust();
}

/** The project's own Node: wrangler needs a newer one than many machines have. */
export function restartOnOwnNode(script) {
  if (Number(process.versions.node.split(".")[0]) >= 22) return Promise.resolve();
  return run(bin("node"), [script, ...process.argv.slice(2)]).then(
    () => process.exit(0),
    ({ exitCode }) => process.exit(exitCode ?? 1),
  );
}

/** A line of progress. */
export function say(text) {
  const arrow = process.stdout.isTTY ? "\u001b[36m▸\u001b[0m" : "▸";
  console.log(`${arrow} ${text}`);
}

/** Runs a script's main function; an error is one clear line and exit code 1. */
export function main(body) {
  body().catch((error) => {
    console.error(process.stderr.isTTY ? `\u001b[31m✗\u001b[0m ${error.message}` : `✗ ${error.message}`);
    process.exit(1);
  });
}
