// The built Worker as it is deployed: for whatever runs it without wrangler.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { root } from "./setup.mjs";

/** Compatibility date and flags, as the `wrangler.toml` of a checkout says. */
export function platform(checkout = root) {
  const toml = readFileSync(join(checkout, "wrangler.toml"), "utf8");
  const flags = /^compatibility_flags\s*=\s*\[(.*?)\]/ms.exec(toml)?.[1] ?? "";
  return {
    compatibilityDate: /^compatibility_date\s*=\s*"(.+?)"/m.exec(toml)[1],
    compatibilityFlags: [...flags.matchAll(/"(.+?)"/g)].map(([, flag]) => flag),
  };
}

/** The paths of the modules in a folder, from there: JavaScript and Wasm. */
export function modulesBelow(folder) {
  if (!existsSync(join(folder, "index.js"))) throw new Error(`no Worker in ${folder}: build it with \`node scripts/build.mjs\``);
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(m?js|wasm)$/.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, "/"));
}
