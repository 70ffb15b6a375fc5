// The machine, the versions and the settings of a run.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, type } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

export function machine({ load, isPlaced, rounds, seconds }) {
  const git = (...args) => spawnSync("git", args, { cwd: ROOT, encoding: "utf8" }).stdout?.trim();
  const version = (name) => JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    commit: `${git("rev-parse", "--short", "HEAD") || "unknown"}${git("status", "--porcelain") ? " with changes" : ""}`,
    node: process.versions.node,
    workerd: version("workerd"),
    load,
    processor: processors[0]?.model.trim() ?? "unknown",
    processors: processors.length,
    system: `${type()} ${release()}`,
    isPlaced,
    rounds,
    seconds,
  };
}
