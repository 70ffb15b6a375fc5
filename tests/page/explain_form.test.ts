// A request to explain: from the form to the call, and what of it stands in the address.

import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyForm, formOf, formOfCurl, modelOf, queryOf, requestOf, withModel } from "../../page/src/explain/explain_form.ts";
import type { Explanation, PlannedAttempt } from "../../page/src/explain/explanation.ts";
import {
  attemptWords, bodyWords, cacheWords, entryWords, factWords, limitWords, reasonWords,
} from "../../page/src/explain/explanation_words.ts";

const FORM = { ...emptyForm("app", "chat"), headers: "X-Team: search\n\n" };

test("a form becomes the request of the call", () => {
  assert.deepEqual(requestOf(FORM), {
    path: "/v1/chat/completions",
    client: "app",
    headers: { "x-team": "search" },
    body: { model: "chat", messages: [{ role: "user", content: "Hello" }] },
  });
  assert.deepEqual(requestOf({ ...FORM, headers: "", body: " ", method: "GET", country: "DE", colo: "FRA" }), {
    path: "/v1/chat/completions",
    method: "GET",
    client: "app",
    place: { country: "DE", colo: "FRA" },
  });
});

test("a body that is no JSON object is sent as the text that it is", () => {
  const body = (text: string) => (requestOf({ ...FORM, body: text }) as { body: unknown }).body;
  assert.equal(body("{broken"), "{broken");
  assert.equal(body('"text"'), '"text"');
  assert.deepEqual(body("[1]"), [1]);
});

test("a key counts only without a client, and what is no header or path is named", () => {
  assert.equal((requestOf({ ...FORM, client: "", key: "sk-1" }) as { key: string }).key, "sk-1");
  assert.ok(!("key" in (requestOf({ ...FORM, key: "sk-1" }) as object)));
  assert.match(String(requestOf({ ...FORM, headers: "nothing" })), /"name: value"/);
  assert.match(String(requestOf({ ...FORM, path: "v1" })), /begins with "\/"/);
});

test("an address has the request, and makes the same form again", () => {
  const { query, leftOut } = queryOf({ ...FORM, country: "DE", headers: "x-team: search" });
  assert.deepEqual(leftOut, []);
  assert.deepEqual(formOf(new URLSearchParams(query)), { ...FORM, country: "DE", headers: "x-team: search" });
  assert.equal(formOf(new URLSearchParams("client=app")), undefined);
});

test("no address has a key or what may be one", () => {
  const { query, leftOut } = queryOf({
    ...FORM,
    client: "",
    key: "sk-secret",
    path: "/v1/files?purpose=x&api-key=sk-secret",
    headers: "authorization: Bearer sk-secret\nx-team: search\ncf-access-client-secret: sk-secret\nCookie: sk-secret",
  });
  assert.ok(!JSON.stringify(query).includes("sk-secret"), JSON.stringify(query));
  assert.deepEqual([query["path"], query["headers"]], ["/v1/files?purpose=x", "x-team: search"]);
  assert.deepEqual(leftOut, ["the header authorization", "the header cf-access-client-secret", "the header Cookie", "the parameter api-key", "the key"]);
});

test("a long body is not in the address", () => {
  const { query, leftOut } = queryOf({ ...FORM, body: `"${"x".repeat(5000)}"` });
  assert.ok(!("body" in query));
  assert.deepEqual(leftOut, ["the body, because it is long"]);
});

test("a curl command fills the form, and its key takes the place of the client", () => {
  const request = { method: undefined, path: "/v1/embeddings", headers: [["x-team", "a"]] as [string, string][], key: "sk-1", body: "{}", notes: [] };
  const form = formOfCurl(request, FORM);
  assert.deepEqual([form.path, form.client, form.key, form.headers, form.body], ["/v1/embeddings", "", "sk-1", "x-team: a", "{}"]);
  assert.equal(formOfCurl({ ...request, key: undefined }, FORM).client, "app");
});

test("the model is read from the body and put into it", () => {
  assert.equal(modelOf(FORM.body), "chat");
  assert.equal(modelOf("{broken"), undefined);
  assert.equal(withModel('{"model":"a","n":1}', "b"), '{"model":"b","n":1}');
  assert.equal(withModel("", "b"), '{\n  "model": "b"\n}');
  assert.equal(withModel("{broken", "b"), "{broken");
});

test("each reason has words", () => {
  for (const [reason, said] of [
    [{ by: { priority: 1 } }, "priority 1"],
    [{ by: { weight: { weight: 30, share: 0.3 } } }, "weight 30, drawn with 30 %"],
    [{ by: "turn" }, "in turn"],
    [{ by: "chance" }, "drawn"],
    [{ by: { wait_ms: 412.4 } }, "expected wait 412 ms"],
    [{ by: { wait_ms: null } }, "no latency known"],
    [{ by: { in_flight: 0 } }, "0 in flight"],
    [{ by: { price_micros: 1234 } }, "price $0.001234"],
    [{ by: { price_micros: null } }, "no price"],
    [{ by: { distance_km: 6234.2 } }, "6,230 km away"],
    [{ by: { distance_km: null } }, "at an unknown place"],
    ["case", "the case that matches"],
    ["faster_of_two", "the faster of two that were drawn"],
    ["leased", "first: this isolate alone may probe it"],
    ["owner", "first: it has the object"],
    [{ behind: 0.25 }, "moved behind: it should get 25 % of its traffic now"],
  ] as const) {
    assert.equal(reasonWords(reason), said);
  }
});

test("what the request is, and how it is sent, has words", () => {
  const facts = { model: "chat", is_streamed: true, is_replayable: false, input_tokens: 12_345, max_output_tokens: 500, needs: ["tools", "vision"], patience_ms: 2000, owner: "openai" };
  assert.equal(factWords(facts).join(", "), "about 12.3 k input tokens, at most 500 output tokens, a stream, needs tools and vision, sent once, its client waits 2 s, its object is at openai");
  const explanation = { rule: null, facts } as Explanation;
  assert.equal(entryWords(explanation, ""), "no rule matches, and it is the node that the model names");
  assert.equal(entryWords({ ...explanation, rule: 2 }, "path = /x"), "rules[2] is the first that matches: path = /x");
  const limit = (ms: number | null, from: string) => ({ ms, from });
  const attempt: PlannedAttempt = {
    number: 2, deployment: "openai", path: ["chat"], by: "retry", is_probe: true, wait_ms: 401, commit: "first_token", hedge_after_ms: null,
    limits: { headers: limit(5000, "share"), first_token: limit(5000, "share"), held_pause: limit(300, "idle_ms"), flow_pause: limit(null, "total") },
  };
  assert.equal(attemptWords(attempt), "a retry, as its probe, after a wait of 401 ms");
  assert.equal(limitWords(attempt).join(", "), "headers 5 s (share), first token 5 s (share), held pause 300 ms (idle_ms)");
  const call = { deployment: "openai", method: "POST", url: "", headers_set: [], headers_passed: [], body: [] };
  assert.equal(bodyWords(call), "as it comes");
  const body = [{ field: "model", is_dropped: false, value: "gpt-4o" }, { field: "user", is_dropped: true }, { field: "seed", is_dropped: false }];
  assert.equal(bodyWords({ ...call, body }), 'sets model = "gpt-4o", drops user, sets seed');
  assert.equal(cacheWords({ reads: true, keeps_seconds: 60, bypass: null }), "an answer that was kept, or else a new answer, which is kept for 60 s");
  assert.equal(cacheWords({ reads: false, keeps_seconds: 0, bypass: "too_long" }), "not used: too long");
});
