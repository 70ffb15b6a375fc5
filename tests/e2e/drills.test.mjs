// Drills in workerd: faults that a request asks for, with OpenAI's SDK as the client.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { startSimulator } from "../../simulator/simulator.mjs";
import { APP_KEY, chat, fleet } from "./document.mjs";
import { withGateway } from "./gateway.mjs";

let simulator;
before(async () => (simulator = await startSimulator()));
after(() => simulator.close());

const ADMIN = "admin-token-of-the-test";
const VIEWER = "viewer-token-of-the-test";
const SHORT = { settings: { timeout: { headers_ms: 300 } } };

const withDrills = (use, changes = SHORT) => {
  const { routes, vars } = fleet(simulator, changes);
  return withGateway({ routes, vars: { ...vars, ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER } }, (gateway) =>
    use(gateway, (faults, body = {}) =>
      chat(gateway, body, { headers: { "x-switchyard-fault": faults, "x-switchyard-admin-token": ADMIN } }),
    ),
  );
};

const sdk = (gateway, faults) =>
  new OpenAI({
    apiKey: APP_KEY,
    baseURL: `${gateway.url}/v1`,
    maxRetries: 0,
    defaultHeaders: { "x-switchyard-fault": faults, "x-switchyard-admin-token": ADMIN },
  });

const MESSAGES = [{ role: "user", content: "hi" }];

test("each fault leads to the next deployment, and the first one gets no call", () =>
  withDrills(async (gateway, drilled) => {
    for (const [fault, trail] of [
      ["429", /^openai=rate_limit;\d+;drill, azure-eastus=200;\d+$/],
      ["500", /^openai=unavailable;\d+;drill, azure-eastus=200;\d+$/],
      ["hang", /^openai=timeout;\d+;drill, azure-eastus=200;\d+$/],
      ["cut", /^openai=connection;\d+;drill, azure-eastus=200;\d+$/],
    ]) {
      const before = simulator.calls("openai").length;
      const response = await drilled(`openai=${fault}`);
      assert.equal(response.status, 200, fault);
      assert.match(response.headers.get("x-switchyard-trail"), trail);
      await response.body.cancel();
      assert.equal(simulator.calls("openai").length, before, fault);
    }
    const usual = await chat(gateway);
    assert.equal(usual.headers.get("x-switchyard-deployment"), "openai", "nothing was learned");
    await usual.body.cancel();
  }));

test("a stream that is cut raises an error in the SDK after its first part", () =>
  withDrills(async (gateway) => {
    const client = sdk(gateway, "openai=cut");
    const before = simulator.calls("openai").length;
    const of = {
      chat: async () => client.chat.completions.create({ model: "chat", messages: MESSAGES, stream: true }),
      response: async () => client.responses.create({ model: "chat", input: "hi", stream: true }),
    };
    for (const [kind, begin] of Object.entries(of)) {
      let text = "";
      await assert.rejects(async () => {
        for await (const event of await begin()) text += event.choices?.[0].delta.content ?? event.delta ?? "";
      }, /ended the stream before the answer was finished/);
      assert.equal(text, "Drill", kind);
    }
    assert.equal(simulator.calls("openai").length, before);
  }));

test("if all deployments are faulty the SDK raises the error that it knows from providers", () =>
  withDrills(async (gateway) => {
    const client = sdk(gateway, "openai=429, azure-eastus=429, azure-westeurope=500");
    const create = client.chat.completions.create({ model: "chat", messages: MESSAGES });
    await assert.rejects(create, (error) => error instanceof OpenAI.RateLimitError && error.code === "drill");
  }));

test("only the admin token allows a fault", () =>
  withDrills(async (gateway) => {
    for (const token of [undefined, VIEWER, APP_KEY]) {
      const headers = { "x-switchyard-fault": "openai=500", ...(token && { "x-switchyard-admin-token": token }) };
      const response = await chat(gateway, {}, { headers });
      assert.equal(response.status, 403);
      assert.equal((await response.json()).error.code, "fault_not_allowed");
    }
    const headers = { "x-switchyard-fault": "opanai=500", authorization: `Bearer ${ADMIN}` };
    const unknown = await chat(gateway, {}, { headers });
    assert.equal(unknown.status, 400);
    assert.match((await unknown.json()).error.message, /Did you mean 'openai'\?/);
  }));
