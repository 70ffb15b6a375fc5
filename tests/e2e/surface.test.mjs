// The HTTP interface: forms of paths, the gateway's own endpoints, errors, headers, CORS.

import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, assertError, assertServedBy, assertTrail, chat, fleet, HI } from "./document.mjs";
import { startGateway, withGateway } from "./gateway.mjs";

const RULES = [
  { when: { path: "/ai/azure/*" }, use: "chat-eastus" },
  { when: { header: { "x-tier": "gold" }, model: "chat" }, use: "chat-westeurope" },
];

let simulator, gateway;
before(async () => {
  simulator = await startSimulator();
  gateway = await startGateway(fleet(simulator, { rules: RULES }));
});
beforeEach(() => simulator.reset());
after(async () => {
  await gateway?.close();
  await simulator.close();
});

const get = (path, headers = {}) => gateway.fetch(path, { headers: { authorization: `Bearer ${APP_KEY}`, ...headers } });

describe("paths", () => {
  const OPENAI = "openai/gpt-4o";
  const EASTUS = "eastus/gpt-4o-eastus";
  const WESTEUROPE = "westeurope/gpt-4o-westeurope";
  const forms = [
    // [path, fields of the body, source of the answer]
    ["/v1/chat/completions", {}, OPENAI],
    ["/chat/completions", {}, OPENAI],
    ["/v1/v1/chat/completions", {}, OPENAI],
    ["/v1/chat/completions/", {}, OPENAI],
    ["/v1/chat/completions?beta=true", {}, OPENAI],
    ["/openai/deployments/chat-eastus/chat/completions?api-version=2024-10-21", { model: undefined }, EASTUS],
    ["/openai/deployments/chat-eastus/chat/completions", { model: undefined }, EASTUS],
    ["/openai/deployments/chat-eastus/chat/completions?api-version=2024-10-21", { model: "chat" }, EASTUS],
    ["/openai/chat/completions?api-version=2024-10-21", {}, OPENAI],
    ["/openai/chat/completions", {}, OPENAI],
    ["/openai/v1/chat/completions", {}, OPENAI],
    ["/openai/v1/chat/completions?api-version=preview", {}, OPENAI],
    ["/ai/azure/v1/chat/completions", {}, EASTUS],
    ["/ai/azure/chat/completions", {}, EASTUS],
    ["/ai/azure/openai/deployments/chat/chat/completions?api-version=2024-10-21", {}, EASTUS],
    ["/ai/azure/openai/v1/chat/completions", { model: "chat-westeurope" }, EASTUS],
    ["/openai/deployments/chat-westeurope/chat/completions?api-version=2024-06-01", {}, WESTEUROPE],
  ];
  for (const [path, body, source] of forms) {
    test(`${path} with ${JSON.stringify(body)} is served by ${source}`, async () => {
      await assertServedBy(await chat(gateway, body, { path }), source);
    });
  }

  test("a rule on a header chooses another node, and only where it matches", async () => {
    await assertServedBy(await chat(gateway, {}, { headers: { "x-tier": "gold" } }), WESTEUROPE);
    await assertServedBy(await chat(gateway, {}, { headers: { "x-tier": "silver" } }), OPENAI);
  });
});

describe("the gateway's own endpoints", () => {
  test("GET /healthz needs no key", async () => {
    const response = await gateway.fetch("/healthz");
    assert.equal(response.status, 200);
    await response.body?.cancel();
  });

  test("GET /v1/models lists the nodes, in OpenAI's shape", async () => {
    for (const path of ["/v1/models", "/models", "/openai/v1/models", "/openai/models?api-version=2024-10-21"]) {
      const response = await get(path);
      assert.equal(response.status, 200, path);
      const list = await response.json();
      assert.equal(list.object, "list");
      const entry = list.data.find(({ id }) => id === "chat");
      assert.equal(entry.object, "model");
      assert.ok(!list.data.some(({ id }) => id === "azure-eastus"), "no deployments");
    }
    assert.deepEqual(simulator.calls("openai"), [], "no upstream is called");
  });

  test("GET /v1/models/{id} shows one node, and gives a 404 for an unknown one", async () => {
    const response = await get("/v1/models/embed");
    assert.equal(response.status, 200);
    assert.equal((await response.json()).id, "embed");
    await assertError(await get("/v1/models/none"), 404, "model_not_found");
  });
});

describe("HEAD and WebSockets", () => {
  const ask = (method, path, headers = {}) =>
    new Promise((resolve, reject) => {
      const options = { method, headers: { authorization: `Bearer ${APP_KEY}`, ...headers } };
      const sent = request(new URL(path, gateway.url), options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece) => (text += piece));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      sent.on("error", reject);
      sent.end();
    });

  test("HEAD has the status and the headers of GET, and no body", async () => {
    for (const path of ["/healthz", "/v1/models", "/v1/models/none"]) {
      const [head, get] = [await ask("HEAD", path), await ask("GET", path)];
      assert.equal(head.status, get.status, path);
      assert.equal(head.headers["content-type"], get.headers["content-type"], path);
      assert.equal(head.text, "", path);
    }
  });

  test("a WebSocket for responses is refused with 426", async () => {
    const upgrade = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const refused = await ask("GET", "/v1/responses", upgrade);
    assert.equal(refused.status, 426);
    assert.equal(JSON.parse(refused.text).error.code, "websocket_not_supported");
  });
});

describe("requests that cannot be served", () => {
  test("an unknown path is a 404 in OpenAI's shape", async () => {
    await assertError(await get("/v1/nothing"), 404);
    await assertError(await chat(gateway, {}, { path: "/nothing/at/all" }), 404);
  });

  test("a wrong method is a 405 in OpenAI's shape that names the right one", async () => {
    const response = await get("/v1/embeddings");
    assert.match(response.headers.get("allow") ?? "", /POST/);
    await assertError(response, 405);
    await assertError(await chat(gateway, {}, { method: "DELETE" }), 405);
    await assertError(await chat(gateway, {}, { path: "/v1/models" }), 405);
  });

  const bodies = [
    // [what, body, status, code]
    ["text that is not JSON", "hello", 400, "invalid_json"],
    ["JSON that is cut off", '{"model": "chat", "messages": [', 400, "invalid_json"],
    ["JSON that is not an object", "[]", 400],
    ["no content", "", 400, "invalid_json"],
    ["no model", '{"messages": []}', 400, "missing_model"],
    ["a model that is not a string", '{"model": 4}', 400],
    ["an unknown model", '{"model": "chta", "messages": []}', 404, "model_not_found"],
    ["the name of a deployment", '{"model": "azure-eastus", "messages": []}', 404, "model_not_found"],
  ];
  for (const [what, body, status, code] of bodies) {
    test(`a body with ${what} is a ${status} ${code ?? ""}`, async () => {
      await assertError(await chat(gateway, {}, { body }), status, code);
      assert.deepEqual(simulator.calls("openai"), []);
    });
  }

  test("the error for an unknown model names the nearest one", async () => {
    assert.match((await assertError(await chat(gateway, { model: "embedd" }), 404)).message, /\bembed\b/);
  });

  test("a body larger than the buffer is sent once, and completely", async () => {
    await withGateway(fleet(simulator, { settings: { buffer_bytes: 65_536 } }), async (small) => {
      const content = "x".repeat(600_000);
      const response = await chat(small, { messages: [{ role: "user", content }] });
      await assertServedBy(response, "openai/gpt-4o");
      assert.ok(simulator.calls("openai")[0].body_bytes > 600_000);
    });
  });

  test("a second model beyond the buffer ends the call before it is sent", async () => {
    await withGateway(fleet(simulator, { settings: { buffer_bytes: 65_536 } }), async (small) => {
      const content = "x".repeat(600_000);
      const messages = [{ role: "user", content }];
      const body = JSON.stringify({ model: "chat", messages }).replace(/}$/, ',"model":"embed"}');
      await assertError(await chat(small, {}, { body }), 400, "invalid_json");
      assert.equal(simulator.calls("openai").filter((call) => call.body_bytes > 600_000).length, 0);
      await assertServedBy(await chat(small), "openai/gpt-4o");
    });
  });
});

describe("headers to the client", () => {
  test("name the deployment and the attempts", async () => {
    const response = await chat(gateway);
    const header = (name) => response.headers.get(`x-switchyard-${name}`);
    assert.match(header("request-id"), /\S{8,}/);
    assert.equal(header("model"), "chat");
    assert.equal(header("deployment"), "openai");
    assert.equal(header("attempts"), "1");
    assert.match(header("routes"), /\S+/);
    assert.match(response.headers.get("server-timing"), /\S+/);
    assertTrail(response, [["openai", "200"]]);
    await assertServedBy(response, "openai/gpt-4o");
  });

  test("are hidden individually by `settings.expose`", async () => {
    const expose = { deployment: false, trail: false, timing: false };
    await withGateway(fleet(simulator, { settings: { expose } }), async (quiet) => {
      const response = await chat(quiet);
      for (const name of ["x-switchyard-deployment", "x-switchyard-trail", "server-timing"]) {
        assert.equal(response.headers.get(name), null, name);
      }
      assert.equal(response.headers.get("x-switchyard-model"), "chat");
      await assertServedBy(response, "openai/gpt-4o");
    });
  });

  test("include those of the upstream that clients use, without its topology or cookies", async () => {
    for (const upstream of ["openai", "eastus"]) await simulator.fault(upstream, { fault: { cookie: true } });
    const openai = await chat(gateway);
    for (const name of ["x-request-id", "x-ratelimit-remaining-requests", "openai-processing-ms"]) {
      assert.ok(openai.headers.get(name), name);
    }
    assert.equal(openai.headers.get("set-cookie"), null);
    await assertServedBy(openai, "openai/gpt-4o");
    const azure = await chat(gateway, { model: "chat-eastus" });
    assert.ok(azure.headers.get("x-request-id"));
    for (const name of ["x-ms-region", "x-ms-deployment-name", "azureml-model-session", "set-cookie"]) {
      assert.equal(azure.headers.get(name), null, name);
    }
    await assertServedBy(azure, "eastus/gpt-4o-eastus");
  });

  test("have CORS only if it is configured, and only for its origins", async () => {
    const origin = "https://app.example.com";
    const off = await chat(gateway, {}, { headers: { origin } });
    assert.equal(off.headers.get("access-control-allow-origin"), null);
    const cors = { origins: ["https://*.example.com"] };
    await withGateway(fleet(simulator, { settings: { cors } }), async (open) => {
      const preflight = await open.fetch("/v1/chat/completions", {
        method: "OPTIONS",
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
      });
      assert.ok(preflight.ok, `preflight: ${preflight.status}`);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.match(preflight.headers.get("access-control-allow-headers"), /authorization|\*/i);
      assert.equal((await chat(open, {}, { headers: { origin } })).headers.get("access-control-allow-origin"), origin);
      const other = await chat(open, {}, { headers: { origin: "https://evil.example.net" } });
      assert.equal(other.headers.get("access-control-allow-origin"), null);
      const unknown = await open.fetch("/v1/chat/completions", { method: "POST", headers: { origin } });
      assert.equal(unknown.status, 401);
      assert.equal(unknown.headers.get("access-control-allow-origin"), origin, "errors are readable too");
    });
  });
});

describe("a request to an upstream", () => {
  const SECRETS = {
    cookie: "session=client-secret",
    "cf-connecting-ip": "203.0.113.7",
    "cf-aig-authorization": "Bearer client-secret",
    "x-forwarded-for": "203.0.113.7",
    "x-real-ip": "203.0.113.7",
    "x-switchyard-metadata": '{"team":"client-secret"}',
    "proxy-authorization": "Basic client-secret",
  };

  test("never contains the client's credentials, address or cookies, nor another upstream's key", async () => {
    await simulator.fault("openai", { fault: "overloaded" });
    await simulator.fault("eastus", { fault: "overloaded" });
    await withGateway(fleet(simulator), async (fresh) => {
      await assertServedBy(await chat(fresh, {}, { headers: SECRETS }), "westeurope/gpt-4o-westeurope");
    });
    for (const upstream of ["openai", "eastus", "westeurope"]) {
      const [{ headers, url }] = simulator.calls(upstream);
      const text = JSON.stringify([url, headers]);
      for (const secret of ["client-secret", APP_KEY, "203.0.113.7"]) assert.ok(!text.includes(secret), `${upstream}: ${text}`);
      for (const other of ["openai", "eastus", "westeurope"]) {
        assert.equal(text.includes(simulator[other].key), other === upstream, `${other}'s key at ${upstream}`);
      }
      // The runtime itself adds `cf-worker`.
      const leaked = Object.keys(headers).filter((name) => /^(cf-(?!worker$)|x-switchyard-)/.test(name));
      assert.deepEqual(leaked, [], upstream);
    }
  });

  test("has the client's body, with only the model replaced", async () => {
    const body = '{"messages":[{"role":"user","content":"hi"}],  "model" : "chat", "seed": 9007199254740993, "\\u0061": 1e2}';
    await assertServedBy(await chat(gateway, {}, { body }), "openai/gpt-4o");
    assert.equal(simulator.calls("openai")[0].body, body.replace('"chat"', '"gpt-4o"'));
  });

  test("has the path and the credential of its provider", async () => {
    await chat(gateway);
    await chat(gateway, { model: "chat-eastus" });
    await chat(gateway, { model: "chat-westeurope", messages: HI });
    const [openai] = simulator.calls("openai");
    assert.equal(openai.url, "/v1/chat/completions");
    const [eastus] = simulator.calls("eastus");
    assert.equal(eastus.url, "/openai/deployments/gpt-4o-eastus/chat/completions?api-version=2024-10-21");
    const [westeurope] = simulator.calls("westeurope");
    assert.equal(westeurope.url, "/openai/v1/chat/completions");
    assert.equal(JSON.parse(westeurope.body).model, "gpt-4o-westeurope");
  });
});
