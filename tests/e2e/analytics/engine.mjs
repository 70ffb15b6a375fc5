// The queries of examples/analytics, and an engine that runs them: ClickHouse, on which Analytics
// Engine is built, as a Python package.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureClickHouse } from "../../../scripts/venv.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const FOLDER = join(HERE, "../../../examples/analytics");

/** The text of each query, by name. */
export const QUERIES = new Map(
  readdirSync(FOLDER)
    .filter((file) => file.endsWith(".sql"))
    .map((file) => [file.replace(/\.sql$/, ""), readFileSync(join(FOLDER, file), "utf8")]),
);

/** Resolves with the result of each query over these rows, by name. */
export async function runQueries(rows, queries = QUERIES) {
  const python = await ensureClickHouse();
  const child = spawn(python, ["-IB", join(HERE, "engine.py")], { stdio: ["pipe", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  child.stdin.on("error", () => {}); // The process has ended. What it wrote says why.
  child.stdin.end(JSON.stringify({ rows, queries: [...queries.values()] }));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`ClickHouse ended with ${code}: ${errors}`);
  const results = JSON.parse(output);
  return new Map([...queries.keys()].map((name, index) => [name, results[index]]));
}
