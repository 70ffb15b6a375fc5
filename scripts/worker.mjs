// The built Worker and its configuration, for programs that run it without wrangler.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./setup.mjs";

/** The compatibility date and flags in the `wrangler.toml` of a checkout. */
export function platform(checkout = root) {
  const toml = readFileSync(join(checkout, "wrangler.toml"), "utf8");
  const flags = /^compatibility_flags\s*=\s*\[(.*?)\]/ms.exec(toml)?.[1] ?? "";
  return {
    compatibilityDate: /^compatibility_date\s*=\s*"(.+?)"/m.exec(toml)[1],
    compatibilityFlags: [...flags.matchAll(/"(.+?)"/g)].map(([, flag]) => flag),
  };
}

/** The output of worker-build. Its other files are for other bundlers. */
const built = ["build/index.js", "build/index_bg.wasm"];

/** The modules of a checkout's Worker, as paths in the checkout: its entry and the build. */
export function builtWorker(checkout = root) {
  const main = /^main\s*=\s*"(.+?)"/m.exec(readFileSync(join(checkout, "wrangler.toml"), "utf8"))[1];
  const files = [...new Set([main, ...built])];
  const missing = files.find((file) => !existsSync(join(checkout, file)));
  if (missing) throw new Error(`no ${missing} in ${checkout}: build the Worker with \`node scripts/build.mjs\``);
  return { main, files };
}
