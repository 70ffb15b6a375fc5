// `npm run fuzz`: looks for bytes that break the promises in tests/fuzz/targets, guided by coverage.
// Needs rustup and a C++ compiler. The nightly compiler is used for this alone.
//
//   npm run fuzz                              all targets, a minute each
//   npm run fuzz -- --minutes 4 form stream   these targets, four minutes each

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureFuzz, main, restartOnOwnNode, root, run, say } from "./setup.mjs";

const USAGE = `Looks for bytes that break a promise of the readers, guided by coverage.

npm run fuzz [-- --minutes N] [TARGET …]

  --minutes N  time for each target (default 1; fractions are allowed)
  --help       this text

It starts from fuzz/seeds and continues with what earlier runs found (fuzz/corpus). A target fails if
it panics, overflows, reads for more than ten seconds, or needs more than 2 GiB. The input is then
in fuzz/artifacts. Copy it to fuzz/seeds: \`cargo test --test fuzz\` replays the seeds.
The exit code is 1 if any target fails.
`;

/** The words of each dictionary's targets. */
const dictionaries = {
  json: ["answer", "choices", "event", "excerpt", "json_body", "json_rest", "object_ids"],
  form: ["content_type", "form"],
  stream: ["stream"],
  heads: ["glob", "headers", "path", "query"],
  state: ["document", "report", "saved", "shard_answer"],
};

const fuzz = join(root, "fuzz");

main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { minutes: { type: "string", default: "1" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const seconds = Math.round(Number(values.minutes) * 60);
  if (!(seconds > 0)) throw new Error(`--minutes ${values.minutes}: expected a number above 0`);
  const all = readdirSync(join(fuzz, "seeds")).sort();
  const unknown = positionals.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no target ${unknown.join(", ")}; the targets are ${all.join(", ")}`);
  await restartOnOwnNode("scripts/fuzz.mjs");
  const cargoFuzz = await ensureFuzz();
  // The compiler's own checks find what a sanitizer would: there is no unsafe code.
  const options = ["--fuzz-dir", fuzz, "--sanitizer", "none"];
  const env = { ...process.env, RUSTUP_TOOLCHAIN: "nightly" };
  const failed = [];
  await run(cargoFuzz, ["build", ...options], { env });
  for (const target of positionals.length > 0 ? positionals : all) {
    const dictionary = Object.keys(dictionaries).find((name) => dictionaries[name].includes(target));
    const corpus = join(fuzz, "corpus", target);
    mkdirSync(corpus, { recursive: true });
    say(`${target}: ${seconds} s`);
    const limits = [`-max_total_time=${seconds}`, "-timeout=10", "-rss_limit_mb=2048", "-max_len=16384"];
    const words = dictionary ? [`-dict=${join(fuzz, "dictionaries", `${dictionary}.dict`)}`] : [];
    const flags = ["-print_final_stats=1", "-verbosity=0", ...words, ...limits];
    const args = ["run", ...options, target, corpus, join(fuzz, "seeds", target), "--", ...flags];
    const { status, signal } = spawnSync(cargoFuzz, args, { cwd: root, env, stdio: "inherit" });
    if (signal) throw new Error(`${target} ended with ${signal}`);
    if (status !== 0) failed.push(target);
  }
  if (failed.length === 0) return say("no promise is broken");
  const kept = failed.filter((target) => existsSync(join(fuzz, "artifacts", target)));
  throw new Error(`${failed.join(", ")} failed; the inputs are in ${kept.map((target) => `fuzz/artifacts/${target}`).join(", ")}`);
});
