// Finds the Worker in a folder, and bundles it as for a deployment.

import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { root } from "../scripts/setup.mjs";
import { platform } from "../scripts/worker.mjs";
import { temporaryFolder } from "./own.mjs";

/** The main module in a folder without `wrangler.toml`. */
const MAIN_MODULES = ["index.js", "build/index.js"];

/**
 * The main module of a Worker, the compatibility date and flags that it runs with, and whether its
 * functions keep their names when it is bundled.
 * @param {string} path a checkout, whose `wrangler.toml` says all of it; or a folder with a built
 *   Worker, or a main module: these run with the date and the flags of this checkout
 */
export function workerIn(path) {
  const at = resolve(path);
  if (!existsSync(at)) throw new Error(`${path}: there is no such folder`);
  if (statSync(at).isFile()) return { main: at, platform: platform() };
  if (existsSync(join(at, "wrangler.toml"))) {
    const toml = readFileSync(join(at, "wrangler.toml"), "utf8");
    const main = /^main\s*=\s*["'](.+?)["']/m.exec(toml)?.[1];
    if (!main) throw new Error(`${path}: wrangler.toml names no \`main\``);
    if (!existsSync(join(at, main))) throw new Error(`${path}: ${main} is missing. Is the Worker built?`);
    const keepNames = !/^keep_names\s*=\s*false/m.test(toml);
    return { main: join(at, main), platform: platform(at), keepNames };
  }
  const main = MAIN_MODULES.map((name) => join(at, name)).find(existsSync);
  if (!main) throw new Error(`${path} has neither wrangler.toml nor ${MAIN_MODULES.join(" nor ")}`);
  return { main, platform: platform() };
}

/** The Worker of this checkout. */
export const ownWorker = () => workerIn(root);

const bundles = new Map();

/**
 * Bundles a Worker as wrangler does: its JavaScript becomes one module, and Wasm modules stay
 * separate. A Worker is bundled once in a run, so that a later build does not affect the run.
 * @param {string} main the main module
 * @param {boolean} [keepNames] as in `wrangler.toml`, with the same default
 * @returns {Promise<{ folder: string, modules: string[] }>} the modules in that folder, main first
 */
export function bundle(main, keepNames = true) {
  if (!bundles.has(main)) bundles.set(main, bundled(main, keepNames));
  return bundles.get(main);
}

async function bundled(main, keepNames) {
  const folder = temporaryFolder();
  await build({
    entryPoints: { index: main },
    outdir: folder,
    bundle: true,
    format: "esm",
    target: "esnext",
    keepNames,
    conditions: ["workerd", "worker", "browser"],
    loader: { ".wasm": "copy" },
    external: ["cloudflare:*", "node:*", ...builtinModules],
    logLevel: "silent",
  }).catch(({ errors, message }) => {
    throw new Error(`${main} cannot be bundled: ${errors?.[0]?.text ?? message}. Is the Worker built?`);
  });
  const others = readdirSync(folder).filter((name) => name !== "index.js");
  return { folder, modules: ["index.js", ...others] };
}
