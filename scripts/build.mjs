// Builds the Worker into build/, and the page of /admin: `node scripts/build.mjs [--dev]`. Wrangler runs this script before
// `dev` and `deploy`. It installs missing tools and runs worker-build with the pinned ones.
//
// The arguments of wasm-opt are in Cargo.toml, under `package.metadata.wasm-pack`.

import { buildPage } from "./page.mjs";
import { ensureAll, main, runWorkerBuild } from "./setup.mjs";

main(async () => {
  await ensureAll();
  await buildPage();
  await runWorkerBuild([process.argv.includes("--dev") ? "--dev" : "--release", "--locked"]);
});
