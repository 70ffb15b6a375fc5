// Cloudflare Access in front of the admin API, with keys and tokens made here: the runtime verifies
// the signatures.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { assertError, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

const ADMIN = "admin-token-of-the-test";
const AUD = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
const HEADER = "cf-access-jwt-assertion";
const DRAIN = "/admin/api/deployments/openai/drain";

let simulator;
before(async () => (simulator = await startSimulator()));
after(() => simulator.close());

/** A key of a team, with its id and with what the team publishes of it. */
function makeKey(kid) {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { kid, privateKey, publicKey, jwk: { kid, alg: "RS256", use: "sig", ...publicKey.export({ format: "jwk" }) } };
}

const encoded = (part) => Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString("base64url");

/** The part of a token that is signed. */
function unsigned(team, header, claims) {
  const now = Math.floor(Date.now() / 1000);
  const usual = { aud: [AUD], email: "root@example.com", exp: now + 600, iat: now, nbf: now, iss: team, type: "app", sub: "7335d417" };
  return `${encoded({ typ: "JWT", ...header })}.${encoded({ ...usual, ...claims })}`;
}

/** A token of a team, signed as Access signs. */
function makeToken(team, key, claims = {}) {
  const signed = unsigned(team, { alg: "RS256", kid: key.kid }, claims);
  return `${signed}.${sign("sha256", Buffer.from(signed), key.privateKey).toString("base64url")}`;
}

/**
 * Starts a team that publishes `published.keys`, and a gateway behind it. `call` sends a request with
 * a token of Access, and without another one unless `admin` is set.
 */
async function behindAccess(keys, use, { isolates = 1 } = {}) {
  const published = { keys, reads: [] };
  const server = createServer((request, response) => {
    published.reads.push(request.url);
    const body = { keys: published.keys.map(({ jwk }) => jwk), public_cert: {}, public_certs: [] };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const team = `http://127.0.0.1:${server.address().port}`;
  const { routes, vars } = fleet(simulator);
  const access = { ACCESS_TEAM_DOMAIN: `${team}/`, ACCESS_AUD: `another,${AUD}`, ACCESS_ADMINS: "root@example.com,ci.access", ACCESS_VIEWERS: "*@ops.example.com" };
  try {
    return await withGateway({ routes, vars: { ...vars, ...access, ADMIN_TOKEN: ADMIN }, registry: true, isolates }, (gateway) => {
      const call = (method, path, token, { isolate = 0, admin = false, headers } = {}) =>
        gateway.isolates[isolate].fetch(path, { method, headers: { [HEADER]: token, ...(admin && { authorization: `Bearer ${ADMIN}` }), ...headers } });
      return use({ gateway, call, team, published });
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function assertOk(answer) {
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return JSON.parse(text);
}

test("who has signed in is admitted as listed, and the log has their name", () =>
  behindAccess([makeKey("new"), makeKey("old")], async ({ gateway, call, team, published }) => {
    const [current, previous] = published.keys;
    const root = makeToken(team, current);
    await assertOk(await call("POST", DRAIN, root));
    await assertOk(await call("POST", DRAIN.replace("drain", "enable"), makeToken(team, previous, { email: undefined, common_name: "ci.access", aud: AUD, nbf: undefined, sub: "" })));
    const viewer = makeToken(team, current, { email: "eve@ops.example.com" });
    await assertOk(await call("GET", "/admin/api/health", viewer));
    await assertError(await call("POST", DRAIN, viewer), 403, "admin_token_needed");
    const nobody = makeToken(team, current, { email: "bob@example.com" });
    await assertError(await call("GET", "/admin/api/health", nobody), 403, "access_not_admitted");
    await assertOk(await call("POST", DRAIN, nobody, { admin: true }));
    await assertError(await call("POST", DRAIN, root, { headers: { "sec-fetch-site": "cross-site" } }), 403, "cross_site_request");
    const { entries } = await assertOk(await call("GET", "/admin/api/audit", root));
    assert.deepEqual(
      entries.map(({ who, what, result }) => `${who} ${what} ${result}`).filter((entry) => !entry.endsWith("routes.found ok")).sort(),
      [
        "bob@example.com deployment.drain ok",
        "ci.access deployment.enable ok",
        "eve@ops.example.com deployment.drain admin_token_needed",
        "root@example.com deployment.drain cross_site_request",
        "root@example.com deployment.drain ok",
      ],
    );
    assert.deepEqual(published.reads, ["/cdn-cgi/access/certs"], "the keys are read once");
    const models = await gateway.fetch("/v1/models", { headers: { [HEADER]: root } });
    await assertError(models, 401, "invalid_api_key");
  }));

test("a token that is not of this team, application and time, or not signed by it, is refused", () =>
  behindAccess([makeKey("k1")], async ({ call, team, published }) => {
    const [key] = published.keys;
    const impostor = makeKey("k1");
    const none = unsigned(team, { alg: "none", kid: "k1" }, {});
    const pem = key.publicKey.export({ type: "spki", format: "pem" });
    const hmac = unsigned(team, { alg: "HS256", kid: "k1" }, {});
    const [header, , signature] = makeToken(team, key).split(".");
    const changed = makeToken(team, key, { email: "eve@ops.example.com" }).split(".")[1];
    const now = Math.floor(Date.now() / 1000);
    for (const [token, code] of [
      [makeToken("https://other.cloudflareaccess.com", key), "access_token_issuer"],
      [makeToken(team, key, { aud: ["another-application"] }), "access_token_audience"],
      [makeToken(team, key, { exp: now - 61 }), "access_token_expired"],
      [makeToken(team, key, { nbf: now + 3600 }), "access_token_not_yet_valid"],
      [makeToken(team, impostor), "access_token_signature"],
      [`${header}.${changed}.${signature}`, "access_token_signature"],
      [`${none}.`, "access_token_algorithm"],
      [`${none}.${signature}`, "access_token_algorithm"],
      [`${hmac}.${createHmac("sha256", pem).update(hmac).digest("base64url")}`, "access_token_algorithm"],
      [makeToken(team, makeKey("k2")), "access_token_unknown_key"],
      ["not-a-token", "access_token_malformed"],
    ]) {
      await assertError(await call("POST", DRAIN, token), 401, code);
      await assertOk(await call("GET", "/admin/api/health", token, { admin: true }));
    }
    const { entries } = await assertOk(await call("GET", "/admin/api/audit", makeToken(team, key)));
    assert.deepEqual(entries.filter(({ what }) => what !== "routes.found"), []);
    assert.equal(published.reads.length, 1);
  }));

test("when the team changes its keys, an isolate that reads them takes the new ones alone", () =>
  behindAccess(
    [makeKey("first")],
    async ({ call, team, published }) => {
      const [first] = published.keys;
      await assertOk(await call("GET", "/admin/api/health", makeToken(team, first)));
      const second = makeKey("second");
      published.keys = [second, first];
      await assertError(await call("GET", "/admin/api/health", makeToken(team, second)), 401, "access_token_unknown_key");
      await assertOk(await call("GET", "/admin/api/health", makeToken(team, second), { isolate: 1 }));
      await assertOk(await call("GET", "/admin/api/health", makeToken(team, first), { isolate: 1 }));
      published.keys = [second];
      await assertOk(await call("GET", "/admin/api/health", makeToken(team, second), { isolate: 2 }));
      await assertError(await call("GET", "/admin/api/health", makeToken(team, first), { isolate: 2 }), 401, "access_token_unknown_key");
      assert.equal(published.reads.length, 3, "once in each isolate");
    },
    { isolates: 3 },
  ));
