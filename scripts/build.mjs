// Builds the Worker into build/: `node scripts/build.mjs [--dev]`. Wrangler calls it before `dev` and `deploy`.

import { buildEnv, ensureAll, main, run, workerBuild } from "./setup.mjs";

main(async () => {
  await ensureAll();
  const profile = process.argv.includes("--dev") ? "--dev" : "--release";
  await run(workerBuild, [profile], { env: buildEnv() });
});
