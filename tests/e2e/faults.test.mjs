// One test for each fault before the commit point: the client's answer, the calls that each
// upstream received, and the trail.
//
// Each test has its own deployments, called a lane. The health of a deployment in one test then has
// no effect on other tests.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { assertServedBy, assertTrail, chat, fleet, readChatStream } from "./document.mjs";
import { startGateway, withGateway } from "./gateway.mjs";

// Timeouts that the slow faults (2 s) exceed and a healthy upstream never does.
const timeout = { headers_ms: 500, first_token_ms: 500, idle_ms: 500 };
const SLOW_MS = 2000;
const STREAM = { stream: true };
const LANES = 120;

let simulator, gateway;
let lane = 0;
before(async () => {
  simulator = await startSimulator();
  const options = fleet(simulator);
  const { deployments, models } = options.routes;
  for (let number = 1; number <= LANES; number += 1) {
    const [openai, eastus] = [`openai-${number}`, `eastus-${number}`];
    Object.assign(deployments, { [openai]: deployments.openai, [eastus]: deployments["azure-eastus"] });
    models[`openai-first-${number}`] = { targets: [openai, eastus], timeout };
    models[`eastus-first-${number}`] = { targets: [eastus, openai], timeout };
  }
  gateway = await startGateway(options);
});
beforeEach(() => {
  lane += 1;
  assert.ok(lane <= LANES, "more tests than lanes");
  return simulator.reset();
});
after(async () => {
  await gateway?.close();
  await simulator.close();
});

const callsOf = (...names) => names.map((name) => simulator.calls(name).length);

describe("an error of the first deployment causes a fallback", () => {
  const errors = [
    // [error, class on OpenAI, class on Azure]
    ["rate_limit", "rate_limit", "rate_limit"],
    ["slow_down", "rate_limit", "rate_limit"],
    ["quota", "quota", "quota"],
    ["overloaded", "unavailable", "unavailable"],
    ["server_error", "unavailable", "unavailable"],
    ["bad_gateway", "unavailable", "unavailable"],
    ["empty_error", "unavailable", "unavailable"],
    ["timeout", "timeout", "timeout"],
    ["bad_key", "auth", "auth"],
    ["forbidden", "auth", "auth"],
    ["deployment_not_found", "not_found", "not_found"],
    ["unsupported_operation", "not_found", "not_found"],
  ];
  for (const [error, onOpenai, onAzure] of errors) {
    for (const body of [{}, STREAM]) {
      test(`${error} of OpenAI${body.stream ? ", streaming" : ""}`, () =>
        assertFallback({ fault: { error }, outcome: onOpenai, body }));
      test(`${error} of Azure${body.stream ? ", streaming" : ""}`, () =>
        assertFallback({ fault: { error }, outcome: onAzure, body, azureFirst: true }));
    }
  }

  const statuses = { 429: "rate_limit", 500: "unavailable", 503: "unavailable", 504: /unavailable|timeout/, 529: "unavailable" };
  for (const [status, outcome] of Object.entries(statuses)) {
    test(`status ${status} with an HTML body`, () =>
      assertFallback({ fault: { status: Number(status), body: "<html>no</html>" }, outcome }));
  }
});

describe("an error in an answer with status 200 causes a fallback", () => {
  test("as a JSON body", () => assertFallback({ fault: { error_body: true }, outcome: "unavailable" }));
  test("as a JSON body where a stream was asked for", () =>
    assertFallback({ fault: { error_body: true }, outcome: "unavailable", body: STREAM }));
  test("as the first event of a stream", () =>
    assertFallback({ fault: { error_after: 0 }, outcome: "unavailable", body: STREAM }));
  test("as the second event, before any content", () =>
    assertFallback({ fault: { error_after: 1 }, outcome: "unavailable", body: STREAM }));
  test("after Azure's empty first chunk", () =>
    assertFallback({ fault: { error_after: 1 }, outcome: "unavailable", body: STREAM, azureFirst: true }));
});

describe("a connection that fails causes a fallback", () => {
  test("refused", () => assertFallback({ fault: { refuse: true }, outcome: "connection", faultyCalls: 0 }));
  test("refused, streaming", () =>
    assertFallback({ fault: { refuse: true }, outcome: "connection", body: STREAM, faultyCalls: 0 }));
  test("reset before the headers", () => assertFallback({ fault: { reset: true }, outcome: "connection" }));
  test("reset before the headers, streaming", () =>
    assertFallback({ fault: { reset: true }, outcome: "connection", body: STREAM }));
});

describe("an upstream that is too slow causes a fallback, and its call is cancelled", () => {
  const slow = [
    // [what, fault, body]
    ["silence", { silence: true }, {}],
    ["silence, streaming", { silence: true }, STREAM],
    ["slow headers", { slow_headers_ms: SLOW_MS }, {}],
    ["a slow first token", { slow_first_token_ms: SLOW_MS }, STREAM],
    ["a stall before the first event", { stall_after: 0 }, STREAM],
    ["a stall before the first content", { stall_after: 1 }, STREAM],
  ];
  for (const [what, fault, body] of slow) {
    test(what, async () => {
      await assertFallback({ fault, outcome: "timeout", body });
      await simulator.seen("openai", ({ outcome }) => outcome === "aborted");
    });
  }
});

describe("a stream that breaks before its first content causes a fallback", () => {
  test("cut before the first event", () =>
    assertFallback({ fault: { cut_after: 0 }, outcome: /^(truncated|connection)$/, body: STREAM }));
  test("cut before the first content", () =>
    assertFallback({ fault: { cut_after: 1 }, outcome: /^(truncated|connection)$/, body: STREAM }));
  test("ended before the first event", () => assertFallback({ fault: { end_after: 0 }, outcome: "truncated", body: STREAM }));
  test("ended before the first content", () =>
    assertFallback({ fault: { end_after: 1 }, outcome: "truncated", body: STREAM }));
  test("ended after Azure's empty first chunk", () =>
    assertFallback({ fault: { end_after: 1 }, outcome: "truncated", body: STREAM, azureFirst: true }));
  test("malformed from the first event on", () =>
    assertFallback({ fault: { malformed_after: 0 }, outcome: "unavailable", body: STREAM }));
});

test("a redirect is not followed", async () => {
  await assertFallback({ fault: { redirect: true }, outcome: "unavailable" });
  assert.deepEqual(simulator.calls("openai").map(({ url }) => url), ["/v1/chat/completions"]);
});

test("a redirect to another upstream does not carry the key there", async () => {
  await assertFallback({ fault: { redirect: `${simulator.westeurope.url}/openai/v1/chat/completions` }, outcome: "unavailable" });
  assert.deepEqual(simulator.calls("westeurope"), []);
});

describe("these are no faults and cause no fallback", () => {
  const harmless = [
    ["a missing [DONE] after a finish", { no_done: true }],
    ["CRLF", { crlf: true }],
    ["comments", { comments: true }],
    ["events and characters split across chunks", { split: true }],
    ["all of these at once", { no_done: true, crlf: true, comments: true, split: true }],
    ["a cookie", { cookie: true }],
    ["a first token within its time", { slow_first_token_ms: 50 }],
  ];
  for (const [what, fault] of harmless) {
    test(what, async () => {
      await simulator.fault("openai", { fault });
      const messages = [{ role: "user", content: "echo Grüße 👋" }];
      const response = await chat(gateway, { model: `openai-first-${lane}`, stream: true, messages });
      assertTrail(response, [[`openai-${lane}`, "200"]]);
      assert.equal(response.headers.get("set-cookie"), null);
      const { text, errors } = readChatStream(await response.text());
      assert.equal(text, "hello from openai/gpt-4o: Grüße 👋");
      assert.deepEqual(errors, []);
      assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
    });
  }
});

describe("an error that the client caused is returned unchanged, without a fallback", () => {
  const errors = [
    // [error, class, code]
    ["content_filter", "content_policy", { openai: "content_policy_violation", eastus: "content_filter" }],
    ["context_window", "context_window", { openai: "context_length_exceeded", eastus: "context_length_exceeded" }],
    ["invalid_request", "bad_request", { openai: "invalid_value", eastus: "invalid_value" }],
  ];
  for (const [error, outcome, codes] of errors) {
    for (const [first, second] of [["openai", "eastus"], ["eastus", "openai"]]) {
      test(`${error} of ${first}`, async () => {
        await simulator.fault(first, { fault: error });
        const response = await chat(gateway, { model: `${first}-first-${lane}` });
        assertTrail(response, [[`${first}-${lane}`, outcome]]);
        assert.equal(response.status, 400);
        assert.equal((await response.json()).error.code, codes[first]);
        assert.deepEqual(callsOf(first, second), [1, 0]);
      });
    }
  }

  test("a filtered prompt of Azure's Responses API, which has no `error` object, gets one with the same code", async () => {
    await simulator.fault("westeurope", { fault: "content_filter" });
    const body = { model: "chat-westeurope", input: "hi", store: false, messages: undefined };
    const response = await chat(gateway, body, { path: "/v1/responses" });
    assertTrail(response, [["azure-westeurope", "content_policy"]]);
    assert.equal(response.status, 400);
    const answer = await response.json();
    assert.equal(answer.error?.code, "content_filter", JSON.stringify(answer));
  });
});

test("after a single failure, a retry at the same deployment is served", () =>
  withGateway(fleet(simulator, { models: { one: { targets: ["openai"] } } }), async (other) => {
    await simulator.fault("openai", { fault: "overloaded", times: 1 });
    const response = await chat(other, { model: "one" });
    assertTrail(response, [["openai", "unavailable"], ["openai", "200"]]);
    await assertServedBy(response, "openai/gpt-4o");
  }));

test("a request larger than the buffer gets one attempt, and the client gets its error", () =>
  withGateway(fleet(simulator, { settings: { buffer_bytes: 65_536 } }), async (other) => {
    await simulator.fault("openai", { fault: "overloaded" });
    const response = await chat(other, { messages: [{ role: "user", content: "x".repeat(600_000) }] });
    assertTrail(response, [["openai", "unavailable"]]);
    assert.equal(response.status, 503);
    assert.deepEqual(callsOf("openai", "eastus"), [1, 0]);
  }));

// Asserts that the first deployment of the lane has the fault, the second one serves, and the
// client gets a normal answer.
async function assertFallback({ fault, outcome, body = {}, azureFirst = false, faultyCalls = 1 }) {
  const [first, second] = azureFirst ? ["eastus", "openai"] : ["openai", "eastus"];
  const source = azureFirst ? "openai/gpt-4o" : "eastus/gpt-4o-eastus";
  await simulator.fault(first, { fault });
  const response = await chat(gateway, { model: `${first}-first-${lane}`, ...body });
  assertTrail(response, [[`${first}-${lane}`, outcome], [`${second}-${lane}`, "200"]]);
  assert.equal(response.headers.get("x-switchyard-deployment"), `${second}-${lane}`);
  assert.equal(response.headers.get("x-switchyard-attempts"), "2");
  if (body.stream) {
    assert.equal(response.status, 200);
    const { text, done, errors } = readChatStream(await response.text());
    assert.deepEqual({ text, done, errors }, { text: `hello from ${source}`, done: true, errors: [] });
  } else {
    await assertServedBy(response, source);
  }
  assert.deepEqual(callsOf(first, second), [faultyCalls, 1]);
}
