// The commands that operate a running gateway: what they do, print and exit with.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { COMPILES, ROOT, switchyard } from "./command-line.mjs";
import { chat, fleet } from "./document.mjs";
import { startGateway } from "./gateway.mjs";
import { eventually } from "./isolates.mjs";

const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";

let [simulator, gateway, folder] = [];
before(async () => {
  simulator = await startSimulator();
  await mkdir(join(ROOT, "target"), { recursive: true });
  folder = await mkdtemp(join(ROOT, "target/gateway-commands-"));
  assert.equal((await switchyard(["--help"])).code, 0);
}, COMPILES);
after(async () => {
  await simulator.close();
  await rm(folder, { recursive: true });
});

// Each test has a gateway of its own.
async function withGateway(use) {
  const { routes, vars } = fleet(simulator);
  const all = { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER };
  gateway = await startGateway({ routes, vars: all, registry: true });
  try {
    await use(routes);
  } finally {
    await gateway.close();
  }
}

// A routes document as a file, in which `chat` has these targets.
async function file(name, targets, more = {}) {
  const { routes } = fleet(simulator, { models: { chat: { targets } } });
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ ...routes, ...more }, null, 2));
  return path;
}

const command = (args, options) => switchyard(args, { gateway: gateway.url, token: ADMIN, ...options });

// Runs a command that must end with this code.
async function ends(code, args, options) {
  const ended = await command(args, options);
  assert.equal(ended.code, code, `${args.join(" ")}: ${ended.stdout}${ended.stderr}`);
  assert.ok(!(ended.stdout + ended.stderr).includes(ADMIN), "no token is printed");
  return ended;
}

const json = async (code, args, options) => JSON.parse((await ends(code, [...args, "--json"], options)).stdout);

async function served() {
  const response = await chat(gateway);
  await response.body?.cancel();
  return response.headers.get("x-switchyard-deployment");
}

const recorded = async () => (await json(0, ["history"])).versions.map(({ number }) => number);

describe("changes of the routes", () => {
  test("are shown, sent, listed, compared and taken back", () =>
    withGateway(async () => {
      const changed = await file("changed.json", ["azure-eastus"]);
      assert.equal(await served(), "openai");
      const dry = await ends(0, ["push", changed, "--dry-run"]);
      assert.match(dry.stdout, /changed\.json: good: 10 deployments/);
      assert.match(dry.stdout, /models\.chat\.targets\[0\]\n {2}- "openai"\n {2}\+ "azure-eastus"\n/);
      assert.match((await ends(2, ["push", changed])).stderr, /not a terminal[^]*Add --yes/);
      assert.match((await ends(1, ["diff", changed])).stdout, /models\.chat\.targets\[0\]\n {2}- "openai"/);
      assert.equal(await served(), "openai", "until here nothing was sent");

      const pushed = await ends(0, ["push", changed, "--yes", "--why", "Größe & Ort"]);
      assert.match(pushed.stdout, /Version \w{12}, number 2, serves\. Other isolates follow within \d+ seconds\./);
      assert.equal(await served(), "azure-eastus");
      assert.match((await ends(0, ["push", changed, "--yes"])).stdout, /served already/);
      const history = await ends(0, ["history"]);
      assert.match(history.stdout, /^2 +\w{12} +\S+Z +admin +put +3 +Größe & Ort$/m);
      assert.match((await ends(0, ["history", "2"])).stdout, /- "openai"\n {2}\+ "azure-eastus"/);

      const pulled = join(folder, "pulled.json");
      await ends(0, ["pull", "--output", pulled]);
      assert.equal(await readFile(pulled, "utf8"), await readFile(changed, "utf8"));
      assert.equal((await ends(0, ["pull"])).stdout, await readFile(changed, "utf8"));
      assert.match((await ends(2, ["pull", "--output", pulled])).stderr, /Add --force/);
      await ends(0, ["pull", "--output", pulled, "--force"]);
      await writeFile(pulled, JSON.stringify(JSON.parse(await readFile(pulled, "utf8"))));
      assert.match((await ends(0, ["diff", pulled])).stdout, /but for spaces/);

      const back = await ends(0, ["rollback", "1", "--why", "a test"]);
      assert.match(back.stdout, /number 3, serves/);
      assert.equal(await served(), "openai");
      await ends(1, ["rollback", "77"]);
      await ends(1, ["rollback", "000000000000"]);

      const acts = (await ends(0, ["audit"])).stdout.trim().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(acts.map(({ what }) => what).slice(0, 3), ["routes.found", "routes.put", "routes.rollback"]);
      const later = (await ends(0, ["audit", "--since", String(acts.at(-2).number)])).stdout;
      assert.deepEqual(JSON.parse(later), acts.at(-1));
    }));

  test("never overwrite a change that came first", () =>
    withGateway(async () => {
      const [mine, theirs] = [await file("mine.json", ["azure-eastus"]), await file("theirs.json", ["azure-westeurope"])];
      // Between the document that `push` shows and the one that it sends, somebody else sends one.
      let sent = await readFile(theirs, "utf8");
      const between = await proxy(async (request) => {
        if (request.method !== "GET" || request.url !== "/admin/api/routes/document") return;
        const headers = { authorization: `Bearer ${ADMIN}`, "if-match": "*", "x-switchyard-why": "theirs" };
        const put = await gateway.fetch("/admin/api/routes", { method: "PUT", headers, body: (sent += "\n") });
        assert.equal(put.status, 200, await put.text());
      });
      try {
        const lost = await ends(4, ["push", mine, "--yes"], { gateway: between.url });
        assert.match(lost.stderr, /was made by admin at \S+Z, because: theirs\.\nhelp: .*switchyard diff /);
        assert.equal((await json(4, ["push", mine, "--yes"], { gateway: between.url })).error.code, "routes_changed");
        assert.equal(await served(), "azure-westeurope");
      } finally {
        between.close();
      }
    }));

  test("with errors are refused here or by the gateway, and nothing is sent", () =>
    withGateway(async () => {
      const wrong = await file("wrong.json", ["opnai"]);
      assert.match((await ends(1, ["push", wrong, "--yes"])).stdout, /did you mean "openai"\?[^]*1 thing to put right/);
      assert.equal((await json(1, ["push", wrong, "--yes"])).good, false);
      // Only the gateway knows that it has no such variable.
      const { routes } = fleet(simulator);
      const settings = { ...routes.settings, webhooks: [{ url: "${NO_SUCH_HOOK}", on: ["ejected"] }] };
      const unset = await file("unset.json", ["openai"], { settings });
      const refused = await ends(1, ["push", unset, "--yes"]);
      assert.match(refused.stdout, /NO_SUCH_HOOK[^]*The gateway refuses the document\. Nothing was changed\./);
      assert.deepEqual(await recorded(), [1]);
    }));

  test("are no canaries of a gateway that has none", async () => {
    const requests = [];
    const old = createServer((request, response) => {
      requests.push(request.method);
      response.setHeader("content-type", "application/json").end('{"version":"a07b5512fe90"}');
    });
    await new Promise((resolve) => old.listen(0, "127.0.0.1", resolve));
    try {
      const changed = await file("canary.json", ["azure-eastus"]);
      const options = { gateway: `http://127.0.0.1:${old.address().port}`, token: ADMIN };
      const ended = await switchyard(["push", changed, "--yes", "--canary", "5", "--minutes", "10"], options);
      assert.equal(ended.code, 3, ended.stdout + ended.stderr);
      assert.match(ended.stderr, /The gateway has no canaries/);
      assert.deepEqual(requests, ["GET"]);
    } finally {
      old.close();
    }
  });
});

test("deployments are drained, shown, enabled and reset", () =>
  withGateway(async () => {
    assert.match((await ends(0, ["drain", "openai", "--why", "über & out"])).stdout, /^openai gets no new requests\./);
    assert.notEqual(await served(), "openai");
    const shown = await ends(0, ["status"]);
    assert.match(shown.stdout, /^routes +version \w{12}, from KV$/m);
    assert.match(shown.stdout, /^openai +drained /m);
    assert.match(shown.stdout, /^azure-eastus +serving /m);
    const status = await json(0, ["status"]);
    assert.equal(status.health.deployments.find(({ deployment }) => deployment === "openai").isolate.gate.state, "drained");
    await ends(0, ["enable", "openai", "--why", "it is well"]);
    assert.equal(await served(), "openai");
    assert.deepEqual((await json(0, ["reset", "openai"])).deployments, ["openai"]);
    assert.match((await ends(0, ["reset", "--all"])).stdout, /^What was learned about 10 deployments/);
    assert.match((await ends(1, ["drain", "opnai"])).stderr, /openai/);
    const acts = (await ends(0, ["audit"])).stdout.trim().split("\n").map((line) => JSON.parse(line));
    const reasons = acts.filter(({ what }) => /drain|enable/.test(what)).map(({ why }) => why);
    assert.deepEqual(reasons, ["über & out", "it is well", null]);
  }));

test("what was used is shown by day, with what is left of limits", async () => {
  const { routes, vars } = fleet(simulator, { cost: { input: 2.5, output: 10 } });
  routes.clients.app.limits = [{ requests: 1000, per: "day" }];
  gateway = await startGateway({ routes, vars: { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER }, registry: true });
  try {
    const before = await ends(0, ["usage"]);
    assert.match(before.stdout, /^http:\S+\ndays of UTC, of all regions; \d{4}-\d\d-\d\d is not over\n/);
    assert.match(before.stdout, /\n\S+ +nothing used\n\nNothing is spent of any limit\.\n/);
    for (let request = 0; request < 3; request += 1) assert.equal(await served(), "openai");
    const report = await eventually(
      "the usage has arrived, and the ledger knows of it",
      async () => {
        const { usage, limits } = await json(0, ["usage", "--days", "2"], { token: VIEWER });
        const requests = usage.days.flatMap(({ rows }) => rows).reduce((sum, { requests }) => sum + requests, 0);
        return requests === 3 && limits.limits.length > 0 && { usage, limits };
      },
      { withinMs: 40_000, everyMs: 500 },
    );
    const rows = report.usage.days.flatMap(({ rows }) => rows);
    // It may be midnight.
    assert.deepEqual([report.usage.by, [...new Set(rows.map(({ name }) => name))]], ["client", ["app"]]);
    const { stdout } = await ends(0, ["usage", "--by", "deployment", "--days", "35"]);
    assert.match(stdout, /\nThe hub has kept days since \d{4}-\d\d-\d\d\.\nRequests are those that the deployment served\.\n\nday +deployment +requests +input tokens +output tokens +cost\n/);
    assert.match(stdout, /\n\S+ +openai +[123] +\d+ +\d+ +\$0\.\d+\n/);
    assert.match(stdout, /\napp +requests\/day +\d+ +1000 +\d+ +\d+ +in \d/);
    for (const [args, said] of [[["--days", "36"], /1\.\.=35/], [["--days", "0"], /1\.\.=35/], [["--by", "key"], /client, model, deployment/]]) {
      assert.match((await ends(2, ["usage", ...args])).stderr, said);
    }
  } finally {
    await gateway.close();
  }
});

test("whoever may not, or asks the wrong machine, gets an error that says so", () =>
  withGateway(async () => {
    assert.match((await ends(3, ["status"], { token: "sk-wrong" })).stderr, /does not accept the token[^]*ADMIN_TOKEN/);
    await ends(0, ["status"], { token: VIEWER });
    const changed = await file("viewer.json", ["azure-eastus"]);
    assert.match((await ends(3, ["push", changed, "--yes"], { token: VIEWER })).stderr, /may only look/);
    assert.match((await ends(2, ["status"], { token: "" })).stderr, /SWITCHYARD_ADMIN_TOKEN is not set/);
    assert.match((await ends(2, ["status"], { gateway: "" })).stderr, /SWITCHYARD_URL/);
    const half = { SWITCHYARD_ACCESS_CLIENT_ID: "id", SWITCHYARD_ACCESS_CLIENT_SECRET: "" };
    assert.match((await ends(2, ["status"], { env: half })).stderr, /one is set/);
    assert.match((await ends(2, ["status", "--gateway", "http://gateway.example"])).stderr, /has no TLS/);
    assert.match((await ends(3, ["status"], { gateway: simulator.openai.endpoint.replace(/\/v1$/, "") })).stderr, /is not a Switchyard/);
    const away = createServer();
    await new Promise((resolve) => away.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${away.address().port}`;
    await new Promise((resolve) => away.close(resolve));
    const error = await json(3, ["history"], { gateway: url });
    assert.equal(error.error.code, "no_connection");
  }));

// Passes requests on to the gateway. `answered` runs between an answer and its way back.
async function proxy(answered) {
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const { host, connection, ...headers } = request.headers;
    const answer = await gateway.fetch(request.url, { method: request.method, headers, body });
    const bytes = Buffer.from(await answer.arrayBuffer());
    await answered(request);
    for (const name of ["content-type", "etag"]) {
      if (answer.headers.has(name)) response.setHeader(name, answer.headers.get(name));
    }
    response.writeHead(answer.status).end(bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
