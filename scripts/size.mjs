// Holds the Worker's Wasm to its budget: what an isolate has to fetch and compile before its first
// answer.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { main, root, say } from "./setup.mjs";
import { builtWorker } from "./worker.mjs";

const BUDGET = 700 * 1024;

main(async () => {
  const name = builtWorker().files.find((file) => file.endsWith(".wasm"));
  const wasm = readFileSync(join(root, name));
  const zipped = gzipSync(wasm, { level: 9 }).length;
  const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
  say(`Wasm: ${kib(wasm.length)}, ${kib(zipped)} with gzip, of ${kib(BUDGET)}`);
  if (zipped > BUDGET) throw new Error(`the Wasm is over its budget by ${kib(zipped - BUDGET)}`);
});
