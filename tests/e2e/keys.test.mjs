// Issued keys in workerd, with OpenAI's SDK: issued, narrowed, rotated, revoked, expired, imported,
// and guessed.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { OpenAI } from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { COMPILES, ROOT, switchyard } from "./command-line.mjs";
import { APP_KEY, HI, chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";
import { eventually } from "./isolates.mjs";

const ADMIN = "admin-token-of-the-test";

let [simulator, folder] = [];
before(async () => {
  simulator = await startSimulator();
  await mkdir(join(ROOT, "target"), { recursive: true });
  folder = await mkdtemp(join(ROOT, "target/keys-"));
  assert.equal((await switchyard(["--help"])).code, 0);
}, COMPILES);
after(async () => {
  await simulator.close();
  await rm(folder, { recursive: true });
});

function withKeys(use, client = {}, options = {}) {
  const clients = { app: { key: "${APP_KEY}", allow_keys: true, ...client } };
  const { routes, vars } = fleet(simulator, { clients });
  return withGateway({ routes, vars: { ...vars, ADMIN_TOKEN: ADMIN }, registry: true, ...options }, (gateway) => {
    const call = async (method, path, body) => {
      const headers = { authorization: `Bearer ${ADMIN}` };
      const response = await gateway.fetch(`/admin/api/keys${path}`, { method, headers, body: JSON.stringify(body) });
      return { status: response.status, body: await response.json() };
    };
    const issue = async (more) => {
      const { status, body } = await call("POST", "", { client: "app", name: "ci", ...more });
      assert.equal(status, 200, JSON.stringify(body));
      return body;
    };
    return use(gateway, call, issue);
  });
}

const sdk = (gateway, apiKey) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey, maxRetries: 0 });

const answered = async (gateway, key) => {
  const answer = await sdk(gateway, key).chat.completions.create({ model: "chat", messages: HI });
  assert.equal(answer.choices[0].message.content, "hello from openai/gpt-4o");
};

const refused = (gateway, key, status, code) =>
  assert.rejects(sdk(gateway, key).chat.completions.create({ model: "chat", messages: HI }), { status, code });

test("a key is issued, narrows its client, and is in the list without itself", () =>
  withKeys(async (gateway, call, issue) => {
    const { key, ...shown } = await issue({ owner: "ada", models: ["chat", "embed"] });
    assert.match(key, /^sk-sy-[\w-]{48}$/);
    assert.equal(shown.prefix, key.slice(0, 10));
    await answered(gateway, key);
    const models = await sdk(gateway, key).models.list();
    assert.deepEqual(models.data.map(({ id }) => id).sort(), ["chat", "embed"]);
    const narrowed = sdk(gateway, key).chat.completions.create({ model: "chat-eastus", messages: HI });
    await assert.rejects(narrowed, { status: 404, code: "model_not_found" });
    await gateway.evictRegistry();
    const { body } = await call("GET", "");
    assert.deepEqual(body.keys.map(({ id, owner, state }) => [id, owner, state]), [[shown.id, "ada", "active"]]);
    assert.equal(body.next, null);
    assert.ok(!JSON.stringify(body).includes(key.slice(10)));
    assert.ok(!gateway.logs.join("\n").includes(key.slice(10)), "no log has it");
    assert.ok((await gateway.kvKeys()).includes(`key:${createHash("sha256").update(key).digest("hex")}`));
  }));

test("a rotated key goes on for the overlap, and a revoked one ends", () =>
  withKeys(async (gateway, call, issue) => {
    const first = await issue();
    const { body: second } = await call("POST", `/${first.id}/rotate`, { overlap_seconds: 600 });
    await answered(gateway, first.key);
    await answered(gateway, second.key);
    assert.equal(second.replaces, first.id);
    assert.equal(second.old.replaced_by, second.id);
    const { body: third } = await call("POST", `/${second.id}/rotate`, { overlap_seconds: 0 });
    await refused(gateway, second.key, 401, "api_key_expired");
    const { status, body } = await call("DELETE", `/${third.id}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.ends_everywhere_within_seconds, 120);
    await refused(gateway, third.key, 401, "api_key_revoked");
    await answered(gateway, first.key);
    await answered(gateway, APP_KEY);
  }));

test("another isolate reads a key from KV, and a key that is over is refused", () =>
  withKeys(
    async (gateway, call, issue) => {
      const { key } = await issue();
      const [, other] = gateway.isolates;
      await answered(other, key);
      await answered(other, key);
      const { key: short } = await issue({ expires: new Date(Date.now() + 1_500).toISOString() });
      await answered(gateway, short);
      let error;
      for (const end = Date.now() + 20_000; !error && Date.now() < end; ) {
        error = await answered(other, short).then(() => undefined, (error) => error);
      }
      assert.deepEqual([error.status, error.code], [401, "api_key_expired"]);
    },
    {},
    { isolates: 2 },
  ));

test("guesses are refused, and a key of LiteLLM goes on by its hash", () =>
  withKeys(
    async (gateway) => {
      const old = "sk-litellm-0123456789";
      await refused(gateway, old, 401, "invalid_api_key");
      await refused(gateway, `sk-sy-${"A".repeat(48)}`, 401, "invalid_api_key");
      const token = (key) => createHash("sha256").update(key).digest("hex");
      const keys = [
        { token: token(old), key_alias: "old", key_name: "sk-...6789", models: [], team_id: "t1", max_budget: 5, rpm_limit: 100 },
        { token: token("sk-blocked"), key_alias: "blocked", blocked: true },
      ];
      const file = join(folder, "litellm-keys.json");
      await writeFile(file, JSON.stringify({ keys, total_count: 2 }));
      const run = (...args) => switchyard(["keys", ...args], { gateway: gateway.url, token: ADMIN });
      const imported = await run("import", file, "--client", "app");
      assert.equal(imported.code, 0, imported.stderr);
      assert.match(imported.stdout, /left out: blocked: it is blocked\nwithout: old: max_budget 5 for ever[^]*1 key imported, 0 keys known/);
      // For ten seconds it counts as unknown.
      const opens = async () => (await chat(gateway, {}, { headers: { authorization: `Bearer ${old}` } })).status === 200;
      await eventually("the old key opens", opens, { withinMs: 20_000, everyMs: 500 });
      await answered(gateway, old);
      const issued = await run("issue", "--client", "app", "--name", "ci", "--model", "chat");
      assert.equal(issued.code, 0, issued.stderr);
      await answered(gateway, issued.stdout.trim());
      assert.match(issued.stderr, /^id +key_2\nstate +active\n/);
      const listed = await run("list");
      assert.match((await run("show", "key_1")).stdout, /limit +requests=100\/minute: \d+ spent, \d+ free/);
      assert.match(listed.stdout, /key_1 +active +app +sk-\.\.\.6789…/);
      const shown = await run("show", "key_2", "--json");
      assert.deepEqual(JSON.parse(shown.stdout).models, ["chat"]);
      const rotated = await run("rotate", "key_2", "--overlap", "0");
      await answered(gateway, rotated.stdout.trim());
      await refused(gateway, issued.stdout.trim(), 401, "api_key_expired");
      assert.equal((await run("revoke", "key_3")).code, 0);
      await refused(gateway, rotated.stdout.trim(), 401, "api_key_revoked");
      assert.equal((await run("revoke", "key_9")).code, 1);
      assert.equal((await run("rotate", "key_3")).code, 1);
      assert.ok([issued, listed, shown, rotated].every(({ stderr }) => !stderr.includes(issued.stdout.trim())));
    },
    { imported_keys: true },
  ));

test("a key has limits of its own, and what it used is in the list", () =>
  withKeys(async (gateway, call, issue) => {
    const { id, key } = await issue({ limits: [{ requests: 2, per: "day" }, { usd: 1, per: "month" }] });
    await answered(gateway, key);
    await answered(gateway, key);
    await refused(gateway, key, 429, "insufficient_quota");
    await answered(gateway, APP_KEY);
    const { status, body } = await call("POST", "", { client: "app", name: "ci", limits: [{ requests: 2 }] });
    assert.deepEqual([status, body.error.code], [400, "invalid_json"]);
    assert.match(body.error.message, /limits\[0\]: found a limit without a time/);
    const shown = async () => (await call("GET", `/${id}`)).body;
    await eventually("the use is reported", async () => (await shown()).usage.total.requests === 2, { withinMs: 20_000, everyMs: 500 });
    assert.deepEqual((await shown()).limit_usage.map(({ meter, free }) => [meter, free > 0]), [
      [`${id}/requests/day`, false],
      [`${id}/usd/month`, true],
    ]);
    await gateway.evictRegistry();
    const { body: list } = await call("GET", "");
    assert.equal(list.keys[0].usage.month.requests, 2);
    assert.ok(list.keys[0].usage.total.tokens > 0);
  }));
