// Builds the Worker into build/: `node scripts/build.mjs [--dev]`. Wrangler calls it before `dev` and `deploy`.
//
// Cargo makes the Wasm, wasm-bindgen the code around it, esbuild one module of that and of the JavaScript in src/edge. That is what
// worker-build does as well, but that its entry module goes through several proxies and promises for each request.

import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bin, ensureAll, main, root, run, triple, wasmBindgen } from "./setup.mjs";

// What rustc emits for wasm32 and wasm-bindgen adds. Not all that the optimiser knows: workerd may not know it yet.
const features = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "bulk-memory",
  "multivalue",
  "reference-types",
  "exception-handling",
  "simd",
];

main(async () => {
  await ensureAll();
  const isDev = process.argv.includes("--dev");
  const profile = isDev ? "debug" : "release";
  const edge = join(root, "src", "edge");
  const parts = join(root, "target", "worker");
  const build = join(root, "build");

  await run("cargo", ["build", "--locked", "--lib", "--target", triple, ...(isDev ? [] : ["--release"])]);
  rmSync(parts, { recursive: true, force: true });
  const linked = join(root, "target", triple, profile, "switchyard.wasm");
  const named = ["--out-dir", parts, "--out-name", "index", "--no-typescript"];
  await run(wasmBindgen, [linked, "--target", "module", "--experimental-reset-state-function", ...named]);
  for (const file of readdirSync(edge).filter((name) => name.endsWith(".js"))) copyFileSync(join(edge, file), join(parts, file));

  rmSync(build, { recursive: true, force: true });
  mkdirSync(build);
  const module = join(build, "index.js");
  const external = ["--external:./index_bg.wasm"];
  await run(bin("esbuild"), [
    join(parts, "worker.js"),
    ...["--bundle", "--format=esm", ...(isDev ? [] : ["--minify"]), ...external, "--log-level=warning", `--outfile=${module}`],
  ]);
  // Workers import a module of Wasm as such; the keyword for that is not known to them.
  writeFileSync(module, readFileSync(module, "utf8").replace(/import source /, "import "));
  const wasm = join(build, "index_bg.wasm");
  if (isDev) return copyFileSync(join(parts, "index_bg.wasm"), wasm);
  // V8 compiles a function as a whole when it is first called: what few requests need stays out of those that all call.
  const apart = "--one-caller-inline-max-function-size=200";
  const optimised = ["-O3", apart, "--strip-debug", ...features.map((name) => `--enable-${name}`)];
  await run(bin("wasm-opt"), [join(parts, "index_bg.wasm"), "-o", wasm, ...optimised]);
});
