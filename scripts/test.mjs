// `npm test`: all checks of CI. Also works on a fresh machine.
//
//   npm test                 all steps
//   npm test -- lint rust    these steps

import { ensureChromium } from "./chromium.mjs";
import { bin, ensureAll, ensureDeny, main, restartOnOwnNode, run, say, triple, wranglerEnv } from "./setup.mjs";
import { ensurePrometheus } from "./prometheus.mjs";
import { ensureClickHouse, ensurePythonSdk } from "./venv.mjs";

const wasm = ["--target", triple];

/** The steps: a name, what it checks, its commands, and what `prepare` installs for it. */
const steps = [
  {
    name: "lint",
    checks: "formatting, lints on both targets, documentation",
    commands: [
      ["cargo", "fmt", "--check"],
      ["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"],
      ["cargo", "clippy", "--locked", "--lib", ...wasm, "--", "-D", "warnings"],
      ["cargo", "doc", "--locked", "--no-deps", "--quiet"],
      [bin("tsc"), "--project", "page"],
    ],
    env: { RUSTDOCFLAGS: "-D warnings" },
  },
  {
    name: "deps",
    checks: "licences, versions and sources of the dependencies",
    // `cargo fetch` gets all crates of the lock file, including those of other platforms:
    // cargo-deny then needs no connection.
    commands: [
      ["cargo", "fetch", "--locked", "--quiet"],
      ["cargo-deny", "--locked", "--offline", "check", "bans", "licenses", "sources"],
    ],
  },
  { name: "rust", checks: "rules, properties, examples", commands: [["cargo", "test", "--locked", "--quiet"]] },
  {
    name: "bench",
    checks: "the statistics of the benchmarks, and the choice of the build",
    commands: [["node", "--test", "--test-reporter=dot", "tests/bench/*.test.mjs"]],
  },
  {
    name: "worker",
    checks: "the Worker builds, can be deployed, and is within its size budget",
    commands: [
      [bin("wrangler"), "deploy", "--dry-run", "--outdir", ".wrangler/dry-run"],
      ["node", "scripts/size.mjs"],
    ],
  },
  {
    name: "page",
    checks: "the page of /admin: its size, its modules, and the page in Chromium at a real gateway",
    prepare: ensureChromium,
    commands: [
      ["node", "scripts/page.mjs"],
      ["node", "--test", "--test-reporter=dot", "tests/page/*.test.ts"],
      // Two browsers at once, so that the machine has something left for their gateways.
      ["node", "--test", "--test-reporter=spec", "--test-concurrency=2", "--test-timeout=60000", "tests/page/*.test.mjs"],
    ],
  },
  {
    name: "e2e",
    checks: "the behaviour of the gateway, in workerd and with the official SDKs",
    prepare: async () => {
      await ensurePythonSdk();
      await ensureClickHouse();
      ensurePrometheus();
    },
    commands: [
      // Some tests run it. It has not the features that `cargo test` builds it with.
      ["cargo", "build", "--locked", "--quiet", "--bin", "switchyard"],
      ["node", "--test", "--test-reporter=spec", "--test-timeout=60000", "tests/e2e/*.test.mjs"],
    ],
  },
];

main(async () => {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    throw new Error(`no step ${unknown.join(", ")}; the steps are ${steps.map((step) => step.name).join(", ")}`);
  }
  await ensureAll();
  await restartOnOwnNode("scripts/test.mjs");
  const chosen = steps.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  for (const { prepare } of chosen) await prepare?.();
  for (const { name, checks, commands, env } of chosen) {
    say(`${name}: ${checks}`);
    for (const [command, ...args] of commands) {
      const path = await pinned(command);
      await run(path, args, { env: { ...wranglerEnv(), ...env } });
    }
  }
  say("all passed");
});

/** The pinned version of a command, if the project has one. */
async function pinned(command) {
  if (command === "node") return bin("node");
  return command === "cargo-deny" ? ensureDeny() : command;
}
