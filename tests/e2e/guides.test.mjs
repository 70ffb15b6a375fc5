// The guides of docs/guides, line by line: their documents are good, and their commands print what
// the guides show, against a gateway in workerd with the simulated upstreams that `npm start` has.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { simulatedVars } from "../../scripts/simulated.mjs";
import { startSimulator } from "../../simulator/simulator.mjs";
import { COMPILES, ROOT, run, switchyard } from "./command-line.mjs";
import { withGateway } from "./gateway.mjs";
import { blocksOf, FOLDER, guides, INDEX, isAsShown, pageOf, stepsOf } from "./guide-pages.mjs";

// All that no test can run, since a simulator cannot show what it does.
const NEEDS_ACCOUNT = {
  "ai-gateway.md": ["npx wrangler secret put", 'curl -X POST "https://api.cloudflare.com/client/v4/accounts/$CLOUDFLARE_ACCOUNT_ID/ai-gateway/custom-providers"'],
};

const MARK = "**Needs an account.**";
const END = "\u0000"; // ends the output of a block
const LONG = { timeout: 180_000 };

let [simulator, folder, vars] = [];
before(async () => {
  simulator = await startSimulator();
  vars = simulatedVars(simulator);
  // cargo finds the checkout from here.
  await mkdir(join(ROOT, "target"), { recursive: true });
  folder = await mkdtemp(join(ROOT, "target/guides-"));
  assert.equal((await switchyard(["--help"])).code, 0);
}, COMPILES);
after(async () => {
  await simulator.close();
  await rm(folder, { recursive: true });
});

test("an output is as shown only if all its lines are", () => {
  const shown = "a …\n…\nlast (…) line\n";
  assert.ok(isAsShown(shown, "a 1\nlast (2) line\n"));
  assert.ok(isAsShown(shown, "a 1\nmore\nand more\nlast (2) line"));
  for (const other of ["", "a 1\n", "b 1\nlast (2) line", "a 1\nlast 2 line", "a 1\nlast (2) line\nmore", "x\na 1\nlast (2) line"]) {
    assert.ok(!isAsShown(shown, other), other);
  }
  assert.ok(isAsShown("", "") && !isAsShown("", "200"));
});

describe("the commands of a guide print what it shows", () => {
  for (const name of guides()) {
    test(name, LONG, async () => {
      await simulator.reset();
      const routes = readFileSync(join(ROOT, "routes.json"), "utf8");
      await withGateway({ routes, vars, registry: true }, (gateway) => follow(name, gateway));
    });
  }
});

// Does what a guide says, in one shell, and compares what is printed.
async function follow(name, gateway) {
  const place = join(folder, name);
  await mkdir(place);
  const steps = [...stepsOf(pageOf(INDEX)), ...stepsOf(pageOf(name))];
  const values = { ...vars, ...reader(gateway) };
  const lines = [];
  for (const { save, run: commands } of steps) {
    if (save) lines.push(`cat > ${save.name} <<'END OF FILE'\n${save.text}END OF FILE`, "printf '\\0'");
    else lines.push(withValues(commands, values), "printf '%s\\0' $?");
  }
  const ended = await run("bash", ["-c", `exec 2>&1\n${lines.join("\n")}`], { cwd: place, timeout: 170_000 });
  const outputs = ended.stdout.split(END);
  for (const [index, { save, run: commands, fails, prints, line }] of steps.entries()) {
    if (save) continue;
    const [, printed, code] = /^([^]*?)(\d+)$/.exec(outputs[index] ?? "") ?? [];
    const context = `${name}:${line}\n${commands}\nshown:\n${prints}\nprinted:\n${printed ?? outputs[index]}`;
    assert.ok(isAsShown(prints, printed ?? "the commands did not end"), context);
    assert.equal(code !== "0", fails, `exit code ${code}: ${context}`);
  }
}

// What the index tells the reader to export.
const reader = (gateway) => ({
  GATEWAY: gateway.url,
  SWITCHYARD_ADMIN_TOKEN: vars.ADMIN_TOKEN,
  APP_KEY: vars.SWITCHYARD_KEY,
  SIMULATOR: simulator.control.url,
});

// Commands with these values in place of those that they export.
const withValues = (commands, values) =>
  commands.replace(/^export (\w+)=\S+/gm, (line, name) => (Object.hasOwn(values, name) ? `export ${name}='${values[name]}'` : line));

test("each document is good, and raises no doubt", LONG, async () => {
  for (const name of guides()) {
    for (const { words, text, line } of blocksOf(pageOf(name)).filter(({ kind }) => kind === "json")) {
      const path = join(folder, words[0]);
      await writeFile(path, text);
      const { code, stdout, stderr } = await switchyard(["check", path, "--deny-warnings"], { env: vars });
      assert.equal(code, 0, `${name}:${line}\n${stdout}${stderr}`);
    }
  }
});

test("each block is a document with a name, commands, or their output", () => {
  for (const name of [INDEX, ...guides()]) {
    const blocks = blocksOf(pageOf(name));
    for (const [index, { kind, words, line, before: paragraph }] of blocks.entries()) {
      const at = `${name}:${line}`;
      if (kind === "json") assert.ok(words.length === 1 && paragraph.includes(`\`${words[0]}\``), `${at}: the text names the file`);
      else if (kind === "text") assert.equal(blocks[index - 1]?.kind, "sh", at);
      else assert.ok(kind === "sh" && words.every((word) => ["fails", "needs-account"].includes(word)), at);
    }
  }
});

test("what needs an account says so to the reader, and is no more than this", () => {
  const found = {};
  for (const name of guides()) {
    for (const { words, text, line, before: paragraph } of blocksOf(pageOf(name))) {
      if (!words.includes("needs-account")) continue;
      assert.ok(paragraph.includes(MARK), `${name}:${line}: the paragraph before it has ${MARK}`);
      (found[name] ??= []).push(text.split(/\s+/).slice(0, 4).join(" "));
    }
  }
  assert.deepEqual(found, NEEDS_ACCOUNT);
});

test("the index lists each guide, and each guide ends with how to see that it works", () => {
  const index = pageOf(INDEX);
  for (const name of guides()) {
    assert.ok(index.includes(`](${name})`), name);
    const last = pageOf(name).split("\n## ").at(-1);
    assert.match(last, /^See that it works\n/, name);
    assert.ok(stepsOf(last).some(({ run: commands }) => commands), `${name}: with commands`);
  }
});

test("each link of the guides leads to a file and a heading that exist", () => {
  for (const name of [INDEX, ...guides()]) {
    for (const [, target] of pageOf(name).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file, heading] = target.split("#");
      const path = join(FOLDER, file || name);
      assert.ok(existsSync(path), `${name}: ${target}`);
      if (heading) assert.ok(headings(readFileSync(path, "utf8")).includes(heading), `${name}: ${target}`);
    }
  }
});

const headings = (page) =>
  [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-"),
  );
