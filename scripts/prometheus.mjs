// Finds Prometheus and promtool for the tests, or installs them on first use.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { root, say } from "./setup.mjs";

/** The folder of the programs that `ensurePrometheus` installs. */
const FOLDER = join(root, ".tools/prometheus");

const runs = (path) => spawnSync(path, ["--version"], { stdio: "ignore" }).status === 0;

/** The paths of both programs; undefined if one of them is missing. */
export function findPrometheus(folder = FOLDER) {
  const found = ["prometheus", "promtool"].map((name) => [name, join(folder, "usr/bin", name)].find(runs));
  return found.every(Boolean) ? { prometheus: found[0], promtool: found[1] } : undefined;
}

/**
 * Installs Prometheus, unless it is there. On Debian and its relatives, the package is unpacked into
 * a folder, without any rights of an administrator. Elsewhere, or without the package lists, nothing
 * is installed, and a line says which tests are skipped.
 */
export function ensurePrometheus(folder = FOLDER) {
  if (findPrometheus(folder)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const can = (command, ...args) => spawnSync(command, args, { cwd: folder, stdio: "ignore" }).status === 0;
  say("unpacking Prometheus (once)");
  const isLoaded = can("apt-get", "download", "prometheus");
  const archive = isLoaded && readdirSync(folder).find((name) => name.endsWith(".deb"));
  if (archive) {
    can("dpkg-deb", "-x", archive, ".");
    rmSync(join(folder, archive));
  }
  if (findPrometheus(folder)) return;
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  say(
    "Prometheus is not there, so the tests that run it are skipped. " +
      "Install it (Debian, Ubuntu: apt-get update; macOS: brew install prometheus) to run them.",
  );
}
