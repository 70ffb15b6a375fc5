// From the record of a request to what the view "Requests" says of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { explainQueryOf } from "../../page/src/requests/explain_query.ts";
import { lookupQuery } from "../../page/src/requests/lookup.ts";
import { choicesFor, filtersOf, matches, queryOf, requestIdIn } from "../../page/src/requests/record_filters.ts";
import { clientGot, deedOf, reasonForNext, summaryOf } from "../../page/src/requests/record_words.ts";
import type { RecordedAttempt, RequestRecord } from "../../page/src/requests/request_record.ts";
import { waterfall } from "../../page/src/requests/waterfall.ts";
import { faults } from "../e2e/analytics/dialect.mjs";

const ID = "req_0123456789abcdef0123456789abcdef";

function record(attempts: RecordedAttempt[], more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    time: "2026-11-30T04:05:31.560Z",
    request_id: ID,
    outcome: "ok",
    status: 200,
    client: "app",
    operation: "chat/completions",
    model: "chat",
    stream: false,
    fallback: false,
    attempts,
    ms: { total: 100, upstream: 80, backoff: 0, own: 2 },
    usage: { input_tokens: 0, output_tokens: 0, estimated: false },
    routes: "b74fff54e70c",
    ...more,
  };
}

const failed = (deployment: string, outcome: string, at_ms: number, ms: number): RecordedAttempt => ({ deployment, outcome, at_ms, ms, status: 503 });
const served = (deployment: string, at_ms: number, ms: number): RecordedAttempt => ({ deployment, outcome: "ok", at_ms, ms, status: 200 });

test("a fallback says who served after whose failure, and why the request went on", () => {
  const fallback = record([failed("openai", "unavailable", 1, 9), served("westeurope", 10, 12)], { fallback: true });
  assert.deepEqual(summaryOf(fallback), { tone: "warn", text: "Served by westeurope, after openai failed" });
  assert.equal(deedOf(fallback.attempts[0]!, fallback), "was not available");
  assert.equal(reasonForNext(fallback, 0), "So the request went on to the next target, westeurope.");
  assert.equal(reasonForNext(fallback, 1), "", "nothing follows the attempt that served");
  assert.equal(clientGot(fallback), "200, the whole answer of westeurope.");
});

test("several failures are named once each, in their order", () => {
  const attempts = [failed("a", "timeout", 0, 5), failed("a", "timeout", 5, 5), failed("b", "quota", 10, 5), failed("c", "auth", 15, 5), served("d", 20, 5)];
  assert.equal(summaryOf(record(attempts, { fallback: true })).text, "Served by d, after a, b and c failed");
});

test("a retry names its wait, but not the time that the gateway itself took", () => {
  const retried = record([failed("a", "rate_limit", 0, 10), served("a", 210, 10)], { ms: { total: 220, upstream: 20, backoff: 200, own: 0 } });
  assert.equal(summaryOf(retried).text, "Served by a, asked again after a failure");
  assert.equal(reasonForNext(retried, 0), "The same deployment was asked again after a wait of 200 ms (a retry of rate_limit).");
  const atOnce = record([failed("a", "rate_limit", 0, 10), served("a", 12, 10)]);
  assert.equal(reasonForNext(atOnce, 0), "The same deployment was asked again (a retry of rate_limit).");
});

test("a hedge is recognised by its beginning, whoever won", () => {
  const won = record([{ deployment: "slow", outcome: "abandoned", at_ms: 0, ms: 90 }, served("fast", 50, 40)], { fallback: true });
  assert.equal(reasonForNext(won, 0), "It had not answered after 50 ms, so fast was asked beside it (a hedge).");
  assert.equal(deedOf(won.attempts[0]!, won), "was not needed: another attempt answered first");
  const lost = record([served("slow", 0, 90), { deployment: "fast", outcome: "abandoned", at_ms: 50, ms: 40 }]);
  assert.equal(reasonForNext(lost, 0), "It had not answered after 50 ms, so fast was asked beside it (a hedge).");
  const broken = { ...lost, outcome: "truncated" };
  assert.deepEqual(summaryOf(broken), { tone: "bad", text: "The answer of slow broke off" });
});

test("a class that ends a request by default goes on only because the document says so", () => {
  const filtered = record([failed("a", "content_policy", 0, 10), served("b", 10, 10)], { fallback: true });
  assert.equal(reasonForNext(filtered, 0), "The request went on to b, as the routes document says for content_policy.");
});

test("failures of the client, of the gateway and of all deployments are distinguished", () => {
  const all = record([failed("a", "unavailable", 0, 5)], { outcome: "unavailable", reason: "server_error", status: 503 });
  assert.deepEqual(summaryOf(all), { tone: "bad", text: "Failed: a did not serve it" });
  assert.equal(clientGot(all), "503 with the error of the failures: unavailable (server_error).");
  assert.match(reasonForNext(all, 0), /^No attempt followed/);
  const refused = record([], { outcome: "model_not_found", status: 404 });
  assert.equal(summaryOf(refused).text, "Refused by the gateway: model_not_found");
  assert.equal(clientGot(refused), "404 with the error model_not_found.");
  const left = record([{ deployment: "a", outcome: "abandoned", at_ms: 0, ms: 50 }], { outcome: "client_left", status: 499 });
  assert.equal(summaryOf(left).text, "The client left before an answer");
  assert.equal(deedOf(left.attempts[0]!, left), "was asked when the client left");
  const ended = record([{ deployment: "a", outcome: "abandoned", at_ms: 0, ms: 50 }], { outcome: "objects_unavailable", status: 503 });
  assert.equal(summaryOf(ended).text, "Refused by the gateway: objects_unavailable");
  assert.equal(deedOf(ended.attempts[0]!, ended), "was asked when the gateway itself ended the request");
  assert.equal(clientGot(ended), "503 with the error objects_unavailable.");
  const broken = record([served("a", 0, 5)], { outcome: "truncated", reason: "idle", stream: true });
  assert.equal(summaryOf(broken).text, "The answer of a broke off");
  assert.equal(clientGot(broken), "200, and then an error in the stream: truncated (idle).");
});

test("bars stand where the attempts began, and the answer flows to the end", () => {
  const { total, bars, isExact } = waterfall(record([failed("a", "timeout", 2, 50), served("b", 60, 10)]));
  assert.equal(isExact, true);
  assert.equal(total, 100);
  assert.deepEqual(bars, [{ start: 2, ms: 50, flow: 0 }, { start: 60, ms: 10, flow: 30 }]);
});

test("without the beginnings, attempts stand one after the other, and waits before the retries", () => {
  const attempts = [failed("a", "timeout", 0, 10), failed("a", "timeout", 0, 10), served("b", 0, 10)].map(({ at_ms: _, ...attempt }) => attempt);
  const { bars, isExact } = waterfall(record(attempts, { ms: { total: 60, upstream: 30, backoff: 20, own: 0 } }));
  assert.equal(isExact, false);
  assert.deepEqual(bars.map(({ start }) => start), [0, 30, 40]);
});

test("no bar ends after the whole, even if the record says so", () => {
  const { total, bars } = waterfall(record([failed("a", "timeout", 0, 500)], { ms: { total: 100, upstream: 100, backoff: 0, own: 0 } }));
  assert.ok(bars.every(({ start, ms, flow }) => start + ms + flow <= total));
});

test("filters are of the attempts too, and survive the address", () => {
  const one = record([failed("openai", "unavailable", 0, 5), served("westeurope", 5, 5)], { upstream_request_id: "up-17" });
  const passes = (query: string) => matches(one, filtersOf(new URLSearchParams(query)));
  for (const query of ["", "deployment=openai", "class=unavailable", "result=served", "status=200", "text=UP-17", "text=west+503", "text=chat+unavail"]) {
    assert.equal(passes(query), query !== "text=west+503", query);
  }
  for (const query of ["deployment=eastus", "class=ok", "result=failed", "status=503", "model=chat-2", "client=", "client=other"]) {
    assert.equal(passes(query), query === "client=", query);
  }
  const filters = filtersOf(new URLSearchParams("model=chat&text=a+b&unknown=1"));
  assert.deepEqual(queryOf(filters), { model: "chat", text: "a b" });
});

test("a filter offers what the records have, and what is chosen", () => {
  const records = [record([failed("b", "timeout", 0, 1), served("a10", 1, 1)]), record([served("a9", 0, 1)], { status: 502, outcome: "connection" })];
  assert.deepEqual(choicesFor("deployment", records, "gone"), ["a9", "a10", "b", "gone"]);
  assert.deepEqual(choicesFor("class", records, ""), ["connection", "timeout"]);
  assert.deepEqual(choicesFor("status", records, ""), ["200", "502"]);
});

test("a request id is found in what people paste", () => {
  assert.equal(requestIdIn(ID), ID);
  assert.equal(requestIdIn(`< x-switchyard-request-id: ${ID}\r`), ID);
  assert.equal(requestIdIn(`00-${ID.slice(4)}-00f067aa0ba902b7-01`), ID, "a traceparent of the gateway's own");
  assert.equal(requestIdIn(ID.slice(4).toUpperCase()), ID);
  assert.equal(requestIdIn("westeurope unavailable"), undefined);
});

test("a request goes to the explanation with its client and a body of its form", () => {
  const { body, ...query } = explainQueryOf(record([], { stream: true, colo: "FRA", country: "DE" })) ?? assert.fail("a chat can be written down");
  assert.deepEqual(query, { path: "/v1/chat/completions", client: "app", country: "DE", colo: "FRA" });
  assert.deepEqual(JSON.parse(body ?? ""), { model: "chat", stream: true, messages: [{ role: "user", content: "Hello" }] });
  const embeddings = explainQueryOf(record([], { operation: "embeddings", model: "embed" }));
  assert.deepEqual(JSON.parse(embeddings?.["body"] ?? ""), { model: "embed", input: "Hello" });
  assert.equal(explainQueryOf(record([], { operation: "files", model: "files" })), undefined, "a stored object has no such body");
  const { model: _, ...unknown } = record([]);
  assert.equal(explainQueryOf(unknown as RequestRecord), undefined);
});

test("the query for a request is one that Analytics Engine understands, and takes no foreign text", () => {
  const columns = ["timestamp", "_sample_interval", ...[1, 2, 3, 4, 8, 9, 10].map((n) => `blob${n}`), "double1", "double4", "double16"];
  assert.deepEqual(faults(lookupQuery(ID) ?? "", columns), []);
  assert.equal(lookupQuery("x' OR 1 = 1"), undefined);
});
