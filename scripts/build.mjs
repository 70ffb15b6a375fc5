// Builds the Worker into build/: `node scripts/build.mjs [--dev]`. Wrangler calls it before `dev` and `deploy`.

import { join } from "node:path";
import { bin, buildEnv, ensureAll, main, root, run, workerBuild } from "./setup.mjs";

// What rustc emits for wasm32 and wasm-bindgen adds. Not all that the optimiser knows: workerd may not know it yet.
const features = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "bulk-memory",
  "multivalue",
  "reference-types",
  "exception-handling",
];

main(async () => {
  await ensureAll();
  const isDev = process.argv.includes("--dev");
  await run(workerBuild, [isDev ? "--dev" : "--release"], { env: buildEnv() });
  if (isDev) return;
  // worker-build keeps the names of functions, an eighth of the Wasm; so the optimiser runs here (see Cargo.toml).
  const wasm = join(root, "build", "index_bg.wasm");
  await run(bin("wasm-opt"), [wasm, "-o", wasm, "-O3", "--strip-debug", ...features.map((name) => `--enable-${name}`)]);
});
