import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { bundle, workerIn } from "../../bench/builds.mjs";
import { platform } from "../../scripts/worker.mjs";

const folder = mkdtempSync(join(tmpdir(), "switchyard-builds-"));
after(() => rmSync(folder, { recursive: true }));

/** Writes files below the folder. Returns its path. */
function tree(name, files) {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, path, ".."), { recursive: true });
    writeFileSync(join(folder, name, path), content);
  }
  return join(folder, name);
}

const TOML = 'main = "src/entry.js"\ncompatibility_date = "2025-01-01"\ncompatibility_flags = ["some_flag"]\n';
const BUILD = {
  "build/index.js": 'import wasm from "./index_bg.wasm"; import { host } from "./snippets/host.js"; export class Health {} export default { wasm, host };',
  "build/snippets/host.js": "export const host = 1;",
  "build/index_bg.wasm": "not Wasm",
};

test("the `wrangler.toml` of a checkout names the main module, the date and the flags", () => {
  const checkout = tree("checkout", { "wrangler.toml": TOML, "src/entry.js": "" });
  const worker = workerIn(checkout);
  assert.equal(worker.main, join(checkout, "src/entry.js"));
  assert.deepEqual(worker.platform, { compatibilityDate: "2025-01-01", compatibilityFlags: ["some_flag"] });
});

test("a folder without one has `index.js` or a build, and this checkout's date and flags", () => {
  assert.equal(workerIn(tree("plain", { "index.js": "" })).main, join(folder, "plain/index.js"));
  const built = workerIn(tree("built", BUILD));
  assert.equal(built.main, join(folder, "built/build/index.js"));
  assert.deepEqual(built.platform, platform());
});

test("a path may name the main module", () => {
  const main = join(tree("one", { "main.js": "" }), "main.js");
  assert.equal(workerIn(main).main, main);
});

test("a folder without a Worker is a clear error", () => {
  assert.throws(() => workerIn(join(folder, "nowhere")), /no such folder/);
  assert.throws(() => workerIn(tree("empty", { "a.txt": "" })), /neither wrangler.toml nor index.js/);
  assert.throws(() => workerIn(tree("unbuilt", { "wrangler.toml": TOML })), /src\/entry.js is missing. Is the Worker built/);
});

test("an entry beside the build and its imports become one module, and Wasm stays a separate module", async () => {
  const entry = 'import worker from "../build/index.js"; export { Health } from "../build/index.js"; export default worker;';
  const { main } = workerIn(tree("entry", { "wrangler.toml": TOML, "src/entry.js": entry, ...BUILD }));
  const { folder: bundled, modules } = await bundle(main);
  assert.equal(modules[0], "index.js");
  assert.equal(modules.length, 2);
  const script = readFileSync(join(bundled, "index.js"), "utf8");
  assert.match(script, new RegExp(`from "\\./${modules[1]}"`));
  assert.match(script, /Health/);
  assert.equal(readFileSync(join(bundled, modules[1]), "utf8"), "not Wasm");
});

test("an entry whose build is missing is a clear error", async () => {
  const { main } = workerIn(tree("half", { "wrangler.toml": TOML, "src/entry.js": 'import "../build/index.js";' }));
  await assert.rejects(bundle(main), /cannot be bundled: .*build\/index.js.* Is the Worker built/);
});
