// Installs the pinned gateways of `npm run bench:peers` into .tools/peers, on first use and after a
// pin has changed.

import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { root, run, say } from "../../scripts/setup.mjs";
import { ensureVenv } from "../../scripts/venv.mjs";
import { bundlePortkey } from "./portkey-in-workerd.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const INSTALLED = join(root, ".tools/peers");

export const litellm = join(INSTALLED, "litellm/bin/litellm");
export const portkey = join(INSTALLED, "node_modules/@portkey-ai/gateway/build/start-server.js");
export const portkeyWorker = join(INSTALLED, "portkey-worker.js");

/** Python versions on which the pins of requirements.txt install, in order of preference. */
const PYTHONS = ["python3.11", "python3.12", "python3.13", "python3"];

export async function ensurePeers() {
  mkdirSync(INSTALLED, { recursive: true });
  await ensure("Portkey's gateway", ["package.json", "package-lock.json"], async () => {
    // `--ignore-scripts`: its postinstall script patches packages that it does not contain.
    await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: INSTALLED });
  });
  await bundlePortkey(INSTALLED);
  await ensureVenv({
    title: "LiteLLM",
    folder: join(INSTALLED, "litellm"),
    requirements: join(HERE, "requirements.txt"),
    oldest: "3.11",
    pythons: PYTHONS,
  });
}

/** Installs unless these pins are installed. An incomplete installation is repeated. */
async function ensure(name, pins, install) {
  const mark = join(INSTALLED, `${pins[0]}.installed`);
  const wanted = pins.map((file) => readFileSync(join(HERE, file), "utf8")).join("");
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return;
  say(`installing ${name} (once)`);
  for (const file of pins) cpSync(join(HERE, file), join(INSTALLED, file));
  rmSync(mark, { force: true });
  await install();
  writeFileSync(mark, wanted);
}
