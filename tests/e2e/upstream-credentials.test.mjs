// Credentials of upstreams: keys that are replaced, and tokens of Entra ID, of an endpoint and an
// upstream on this machine.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { APP_KEY, assertTrail, chat } from "./document.mjs";
import { withGateway } from "./gateway.mjs";
import { eventually } from "./isolates.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const SECRET = "entra-client-secret-0123456789";
const ADMIN = { authorization: "Bearer admin" };

// Starts an upstream that accepts these keys and tokens, with an endpoint for tokens below `/login`,
// and passes it to `use`.
async function withCloud(use) {
  const cloud = { accepted: new Set(), calls: [], forms: [], issue: () => ({ status: 503 }) };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const reply = (status, body) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    if (request.url.startsWith("/login/")) {
      cloud.forms.push({ path: request.url, type: request.headers["content-type"], form: Object.fromEntries(new URLSearchParams(text)) });
      const { status, body } = cloud.issue(cloud.forms.length);
      return reply(status, body ?? {});
    }
    const credential = request.headers["api-key"] ?? request.headers.authorization?.replace("Bearer ", "");
    cloud.calls.push(credential);
    if (!cloud.accepted.has(credential)) {
      return reply(401, { error: { code: "401", message: "Access denied due to invalid subscription key or wrong API endpoint." } });
    }
    const message = { role: "assistant", content: "hello" };
    reply(200, { id: "x", object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  cloud.url = `http://127.0.0.1:${server.address().port}`;
  try {
    return await use(cloud);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const token = (text, seconds = 3600) => ({ status: 200, body: { token_type: "Bearer", expires_in: seconds, access_token: text } });

// A gateway with a deployment of this credential, and another one that always serves.
function options(cloud, credential) {
  cloud.accepted.add("spare-key-0123456789");
  const azure = { provider: "azure", endpoint: cloud.url, deployment: "gpt-4o" };
  return {
    routes: {
      version: 1,
      settings: { refresh_seconds: 1 },
      clients: { app: { key: "${APP_KEY}" } },
      deployments: { first: { ...azure, ...credential }, spare: { ...azure, api_key: "${SPARE_KEY}" } },
      models: { chat: { targets: ["first", "spare"] } },
    },
    vars: {
      APP_KEY,
      ADMIN_TOKEN: "admin",
      SPARE_KEY: "spare-key-0123456789",
      NEW_KEY: "new-key-0123456789",
      OLD_KEY: "old-key-0123456789",
      ENTRA_SECRET: SECRET,
    },
  };
}

const entra = (cloud) => ({
  auth: { entra: { tenant: "contoso", client_id: "app-1", client_secret: "${ENTRA_SECRET}", authority: `${cloud.url}/login` } },
});

const credential = async (gateway) => {
  const health = await (await gateway.fetch("/admin/api/health", { headers: ADMIN })).json();
  return health.deployments.find(({ deployment }) => deployment === "first").credential;
};

describe("credentials of upstreams", { concurrency: 2 }, () => {
  test("a key is replaced without a gap", () =>
    withCloud((cloud) =>
      withGateway(options(cloud, { api_key: ["${NEW_KEY}", "${OLD_KEY}"] }), async (gateway) => {
        cloud.accepted.add("old-key-0123456789");
        assertTrail(await chat(gateway), [["first", "200"]]);
        assertTrail(await chat(gateway, { stream: false }), [["first", "200"]]);
        assert.deepEqual(cloud.calls, ["new-key-0123456789", "old-key-0123456789", "old-key-0123456789"]);
        assert.deepEqual(await credential(gateway), { keys: 2, in_use: 2, refused: [1] });
        assert.ok(gateway.logs.some((line) => /first refuses its key 1 of 2 \(401\); key 2 is tried/.test(line)), gateway.logs.join("\n"));
        // The old key is revoked when the new one is valid.
        cloud.accepted.add("new-key-0123456789");
        cloud.accepted.delete("old-key-0123456789");
        assertTrail(await chat(gateway), [["first", "200"]]);
        assert.deepEqual(cloud.calls.slice(3), ["old-key-0123456789", "new-key-0123456789"]);
        assert.deepEqual(await credential(gateway), { keys: 2, in_use: 1, refused: [2] });
      }),
    ));

  test("a token is fetched once for requests at the same time, and again when it has expired", () =>
    withCloud((cloud) =>
      withGateway(options(cloud, entra(cloud)), async (gateway) => {
        cloud.issue = (count) => {
          cloud.accepted.add(`token-${count}`);
          // A token is not used in the last ten seconds of its life.
          return token(`token-${count}`, count === 1 ? 12 : 3600);
        };
        const answers = await Promise.all(Array.from({ length: 6 }, () => chat(gateway)));
        for (const answer of answers) assertTrail(answer, [["first", "200"]]);
        const form = { grant_type: "client_credentials", client_id: "app-1", scope: "https://ai.azure.com/.default", client_secret: SECRET };
        const type = "application/x-www-form-urlencoded";
        assert.deepEqual(cloud.forms, [{ path: "/login/contoso/oauth2/v2.0/token", type, form }]);
        assert.deepEqual(new Set(cloud.calls), new Set(["token-1"]));
        await eventually("the next token is used", async () => {
          assertTrail(await chat(gateway), [["first", "200"]]);
          return cloud.calls.at(-1) === "token-2";
        }, { withinMs: 10_000 });
        const { token_expires_at, token_problem } = await credential(gateway);
        assert.equal(token_problem, null);
        assert.ok(Math.abs(token_expires_at - Date.now() - 3_600_000) < 60_000);
        assert.ok(!gateway.logs.join("\n").includes(SECRET));
      }),
    ));

  test("while the endpoint is down another deployment serves, and its end ends that by itself", () =>
    withCloud((cloud) =>
      withGateway(options(cloud, entra(cloud)), async (gateway) => {
        assertTrail(await chat(gateway), [["first", "unavailable"], ["spare", "200"]]);
        assertTrail(await chat(gateway), [["first", "unavailable"], ["spare", "200"]]);
        assert.equal(cloud.forms.length, 1, "there is a pause after a failure");
        assert.equal((await credential(gateway)).token_problem, "token_endpoint_status_503");
        cloud.issue = () => token("token-1");
        cloud.accepted.add("token-1");
        await eventually("it serves", async () => {
          const answer = await chat(gateway);
          assert.equal(answer.status, 200);
          return answer.headers.get("x-switchyard-deployment") === "first";
        }, { withinMs: 30_000 });
      }),
    ));

  test("a wrong secret is the fault of the deployment, and nobody sees the secret", () =>
    withCloud((cloud) =>
      withGateway(options(cloud, entra(cloud)), async (gateway) => {
        const body = { error: "invalid_client", error_description: `AADSTS7000215: ${SECRET}`, error_codes: [7000215] };
        cloud.issue = () => ({ status: 401, body });
        assertTrail(await chat(gateway), [["first", "auth"], ["spare", "200"]]);
        const problem = (await credential(gateway)).token_problem;
        assert.match(problem, /^AADSTS7000215 \(the client secret is wrong/);
        const log = gateway.logs.join("\n");
        assert.match(log, /no token for the application app-1 of contoso: AADSTS7000215/);
        assert.ok(!log.includes(SECRET), log);
      }),
    ));

  test("a key may be in the Secrets Store", () =>
    withCloud((cloud) => {
      const secrets = { STORED_KEY: "stored-key-0123456789" };
      cloud.accepted.add(secrets.STORED_KEY);
      return withGateway({ ...options(cloud, { api_key: "${STORED_KEY}" }), secrets }, async (gateway) => {
        const answers = await Promise.all(Array.from({ length: 4 }, () => chat(gateway)));
        for (const answer of answers) assertTrail(answer, [["first", "200"]]);
        assert.deepEqual(new Set(cloud.calls), new Set([secrets.STORED_KEY]));
      });
    }));

  test("doctor asks for a token and with each key, and says what is wrong", () =>
    withCloud(async (cloud) => {
      const { routes, vars } = options(cloud, entra(cloud));
      routes.deployments.spare.api_key = ["${SPARE_KEY}", "${OLD_KEY}"];
      const folder = mkdtempSync(join(tmpdir(), "switchyard-"));
      const file = join(folder, "routes.json");
      writeFileSync(file, JSON.stringify(routes));
      const doctor = () =>
        new Promise((resolve) => {
          const run = ["run", "-q", "--", "doctor", file, "--yes", "--json"];
          execFile("cargo", run, { cwd: ROOT, env: { ...process.env, ...vars } }, (_, stdout, stderr) => {
            for (const secret of [SECRET, vars.SPARE_KEY, vars.OLD_KEY, "token-1"]) assert.ok(!`${stdout}${stderr}`.includes(secret));
            resolve(JSON.parse(stdout).deployments.map(({ deployment, key, code, said }) => ({ deployment, key, code, said })));
          });
        });
      try {
        cloud.issue = () => ({ status: 400, body: { error: "unauthorized_client", error_codes: [700016] } });
        const [refused, ...keys] = await doctor();
        const said = "AADSTS700016 (there is no such application in this tenant)";
        assert.deepEqual(refused, { deployment: "first", key: undefined, code: "no_token", said });
        assert.deepEqual(keys.map(({ key, code }) => [key, code]), [[1, "well"], [2, "key_of_another_resource"]]);
        cloud.issue = () => token("token-1");
        cloud.accepted.add("token-1");
        assert.equal((await doctor())[0].code, "well");
      } finally {
        rmSync(folder, { recursive: true });
      }
    }));
});
