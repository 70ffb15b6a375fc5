// Finds Chromium for the tests of the page, or unpacks the one that comes with the npm packages.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root, say } from "./setup.mjs";

/** The folder of the Chromium that `ensureChromium` unpacks. */
const FOLDER = join(root, ".tools/chromium");

/** Where an installed one is: on the PATH, and in the usual places of macOS. */
const INSTALLED = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** It calls nobody by itself, and needs neither a screen nor the rights for a sandbox. */
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

/**
 * The program and its environment; undefined if none is there. The one that is unpacked brings the
 * libraries and fonts that a small machine may lack.
 */
export function findChromium(folder = FOLDER) {
  const installed = INSTALLED.map(located).find((path) => path && runs(path, process.env));
  if (installed) return { executablePath: installed, env: process.env };
  const executablePath = join(folder, "chromium");
  const libraries = [join(folder, "al2023/lib"), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  const bare = { ...process.env, FONTCONFIG_PATH: join(folder, "fonts") };
  const env = [bare, { ...bare, LD_LIBRARY_PATH: libraries }].find((env) => runs(executablePath, env));
  return env && { executablePath, env };
}

/** Unpacks Chromium, unless there is one. Throws if this machine cannot run it. */
export async function ensureChromium(folder = FOLDER) {
  if (findChromium(folder)) return;
  say("unpacking Chromium (once)");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { inflate } = await import("@sparticuz/chromium");
  const archives = join(createRequire(import.meta.url).resolve("@sparticuz/chromium"), "../../bin");
  // The package unpacks into the folder for temporary files.
  const temporary = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  try {
    const names = ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"];
    await Promise.all(names.map((name) => inflate(join(archives, name))));
  } finally {
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  }
  // The package's own configuration knows the folders of another machine. Without any font, a page
  // with text ends the browser.
  writeFileSync(
    join(folder, "fonts/fonts.conf"),
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts</dir>
  <cachedir>${folder}/fonts-cache</cachedir>
</fontconfig>
`,
  );
  if (findChromium(folder)) return;
  throw new Error(
    "no Chromium runs here, which the tests of the page need. Install it " +
      "(Debian: apt-get install chromium; macOS: Google Chrome), then run this again.",
  );
}

/** Starts Chromium, driven by playwright. */
export async function launchChromium() {
  const found = findChromium();
  if (!found) throw new Error("Chromium is missing: `npm test -- page` installs it");
  const { chromium } = await import("playwright-core");
  return chromium.launch({ ...found, args: ARGS });
}

/** The path of a program; undefined if it is not there. */
function located(name) {
  if (name.startsWith("/")) return existsSync(name) ? name : undefined;
  const folders = (process.env.PATH ?? "").split(":");
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Whether a program starts: it does not if a library is missing. */
function runs(path, env) {
  return existsSync(path) && spawnSync(path, ["--version"], { env, stdio: "ignore", timeout: 30_000 }).status === 0;
}
