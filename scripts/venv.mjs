// Virtual environments of Python with pinned packages, made on first use.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root, run, say } from "./setup.mjs";

/** The names of Python, in order of preference. */
const PYTHONS = ["python3", "python3.13", "python3.12", "python3.11", "python3.10"];

/** The official SDK for Python, which the end-to-end tests drive. Resolves with its Python. */
export function ensurePythonSdk() {
  return ensureVenv({
    title: "the official SDK for Python",
    folder: join(root, ".tools/python-sdk"),
    requirements: join(root, "tests/e2e/python/requirements.txt"),
    oldest: "3.10",
  });
}

/**
 * ClickHouse as a Python package, which runs the queries of examples/analytics in the end-to-end
 * tests. Resolves with its Python.
 */
export function ensureClickHouse() {
  return ensureVenv({
    title: "ClickHouse for the tests (50 MB)",
    folder: join(root, ".tools/clickhouse"),
    requirements: join(root, "tests/e2e/analytics/requirements.txt"),
    oldest: "3.10",
  });
}

/** There is no Python that is new enough. */
export class MissingPython extends Error {}

/**
 * Makes a virtual environment with the packages of a requirements file, unless there is one with
 * the same file. An incomplete one is made again. Resolves with the path of its Python.
 *
 * The file names all packages, also those that others need. If it has hashes, pip checks them.
 * `oldest` is the oldest version of Python on which they install. Of `pythons`, the first one that
 * is new enough is used.
 */
export async function ensureVenv({ title, folder, requirements, oldest, pythons = PYTHONS }) {
  const python = join(folder, "bin/python");
  const mark = join(folder, "requirements.sha256");
  const wanted = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  if (existsSync(python) && existsSync(mark) && readFileSync(mark, "utf8") === wanted) return python;
  const [base, hasOwnPip] = findPython(title, oldest, pythons);
  say(`installing ${title} (once)`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(dirname(folder), { recursive: true });
  await run(base, ["-m", "venv", ...(hasOwnPip ? [] : ["--without-pip"]), folder]);
  const pip = hasOwnPip ? [python, "-m", "pip"] : [base, "-m", "pip", "--python", python];
  const options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--requirement", requirements];
  await run(pip[0], [...pip.slice(1), "install", ...options]);
  writeFileSync(mark, wanted);
  return python;
}

/**
 * A Python, and whether it puts a pip into its virtual environments. On Debian it does not without
 * the package python3-venv. Then the pip of that Python installs into them.
 */
function findPython(title, oldest, pythons) {
  const isNew = `import sys; assert sys.version_info >= (${oldest.replace(".", ", ")})`;
  const can = (name, ...args) => spawnSync(name, args, { cwd: root, stdio: "ignore" }).status === 0;
  const found = pythons.filter((name) => can(name, "-c", `${isNew}; import venv`));
  const complete = found.find((name) => can(name, "-c", "import ensurepip"));
  if (complete) return [complete, true];
  // Older ones cannot install into the environment of another Python.
  const isPipNew = "import pip; assert tuple(map(int, pip.__version__.split('.')[:2])) >= (22, 3)";
  const withPip = found.find((name) => can(name, "-c", isPipNew));
  if (withPip) return [withPip, false];
  throw new MissingPython(
    `Python ${oldest} or newer with venv is missing; ${title} needs it. ` +
      "Install it (Debian, Ubuntu: apt-get install python3-venv; macOS: brew install python3), then run this again.",
  );
}
