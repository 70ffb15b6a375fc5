// Measures the time that V8 takes to compile a Wasm module and to instantiate it.
// `node wasm.mjs FILE` prints it as JSON. The imports of the module are empty functions, and no
// export is called.

import { readFileSync } from "node:fs";

const bytes = readFileSync(process.argv[2]);
const from = performance.now();
const module = new WebAssembly.Module(bytes);
const compiled = performance.now();
const imports = {};
for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
  (imports[from] ??= {})[name] = kind === "tag" ? new WebAssembly.Tag({ parameters: ["externref"] }) : () => {};
}
const ready = performance.now();
new WebAssembly.Instance(module, imports);
process.stdout.write(JSON.stringify({ compileMs: compiled - from, instantiateMs: performance.now() - ready }));
