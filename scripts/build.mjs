// Builds the Worker into build/: `node scripts/build.mjs [--dev]`. Wrangler calls it before `dev`
// and `deploy`. It installs what is missing, and runs worker-build on the pinned tools.
//
// wasm-opt's arguments are in Cargo.toml, under `package.metadata.wasm-pack`.

import { ensureAll, main, runWorkerBuild } from "./setup.mjs";

main(async () => {
  await ensureAll();
  await runWorkerBuild([process.argv.includes("--dev") ? "--dev" : "--release", "--locked"]);
});
