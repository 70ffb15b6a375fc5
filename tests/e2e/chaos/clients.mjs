// The clients of a chaos run. Each client checks every answer that it gets.

import { setTimeout as wait } from "node:timers/promises";
import { APP_KEY, readChatStream, trail } from "../document.mjs";
import { UPSTREAMS } from "../isolates.mjs";
import { isLate } from "./disruptions.mjs";

const PATIENCE_MS = 30_000;
/** The key of a client with a quota that a run uses up, and the quota. */
export const QUOTA_KEY = "sk-switchyard-quota";
export const QUOTA = 60;
const DEPLOYMENTS = { openai: "openai", eastus: "azure-eastus", westeurope: "azure-westeurope" };

const chatOf = (model, more = {}) => ({ path: "/v1/chat/completions", model, pool: UPSTREAMS, ...more });
// The kinds of requests. `pool`: the upstreams that can serve them. `whole`: the gateway holds the
// stream until it is complete. `leaves`: the client leaves early. `bad`: the request is invalid.
// `limited`: it is of the client with the quota.
const KINDS = {
  json: chatOf("chat"),
  stream: chatOf("chat", { stream: true }),
  "hedged json": chatOf("hedged"),
  "hedged stream": chatOf("hedged", { stream: true }),
  "sticky json": chatOf("sticky"),
  "sticky stream": chatOf("sticky", { stream: true }),
  "whole stream": chatOf("whole", { stream: true, whole: true }),
  "by latency": chatOf("fast"),
  "least busy": chatOf("idle", { stream: true }),
  weighted: chatOf("shared"),
  embeddings: { path: "/v1/embeddings", model: "embed", pool: ["openai", "eastus"] },
  leaving: chatOf("hedged", { stream: true, leaves: true }),
  limited: chatOf("chat", { limited: true }),
  "bad request": { path: "/v1/chat/completions", bad: true, pool: [] },
};

export const MODELS = (names) => ({
  hedged: { targets: names, hedge: { after: 60, max_share: 0.5 } },
  sticky: { strategy: "random", targets: names, sticky: { by: "user" } },
  whole: { targets: names, commit: "complete" },
  fast: { strategy: "latency", targets: names },
  idle: { strategy: "least_busy", targets: names },
  shared: { strategy: "weighted", targets: names },
});

export class Clients {
  violations = [];
  // The requests of the client with the quota: those that were begun, served and refused.
  limited = { begun: 0, served: 0, refused: 0 };
  counts = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, { requests: 0, promised: 0, answers: 0, errors: 0, broken: 0, ms: [] }]));
  #simulator;
  #gateway;
  #disruptions;
  #isOver;
  #next = 0;

  constructor({ simulator, gateway, disruptions, isOver }) {
    this.#simulator = simulator;
    this.#gateway = gateway;
    this.#disruptions = disruptions;
    this.#isOver = isOver;
  }

  async run(random, perIsolate) {
    const clients = this.#gateway.isolates.flatMap((isolate, index) =>
      Array.from({ length: perIsolate }, () => this.#client(random.fork(), isolate, index)));
    await Promise.all(clients);
  }

  // Records a violation.
  violation(what, details = {}) {
    this.violations.push({ at: new Date().toISOString(), what, ...details });
  }

  async #client(random, isolate, index) {
    while (!this.#isOver()) {
      const kind = random.of(Object.keys(KINDS));
      const began = Date.now();
      try {
        await this.#ask(random, isolate, index, kind);
      } catch (error) {
        if (!KINDS[kind].leaves) {
          const took = Date.now() - began;
          this.violation("no answer", { kind, isolate: index, took, error: `${error.message} ${error.cause?.message ?? ""}` });
        }
      }
      this.counts[kind].ms.push(Date.now() - began);
      await wait(random.between(0, 30));
    }
  }

  async #ask(random, isolate, index, kind) {
    const spec = KINDS[kind];
    const count = this.counts[kind];
    const began = Date.now();
    const id = `chaos-${(this.#next += 1)}-${random.between(0, 1e9)}`;
    const leaving = spec.leaves ? AbortSignal.timeout(random.between(1, 400)) : AbortSignal.timeout(PATIENCE_MS);
    count.requests += 1;
    if (spec.limited) this.limited.begun += 1;
    const response = await isolate.fetch(spec.path, {
      method: "POST",
      headers: { authorization: `Bearer ${spec.limited ? QUOTA_KEY : APP_KEY}`, "content-type": "application/json" },
      body: spec.bad ? random.of(["{", "null", '{"model":"nothing-like-it","messages":[]}', "\u0000"]) : JSON.stringify(bodyOf(spec, id)),
      signal: leaving,
    });
    const text = await response.text();
    if (this.#isOfLimits(spec, response, text)) return;
    const stable = this.#disruptions.stableSince(began);
    const isPromised = spec.pool.includes(stable);
    if (isPromised) count.promised += 1;
    const seen = { kind, isolate: index, id, stable, status: response.status, trail: trail(response), routes: response.headers.get("x-switchyard-routes"), took: Date.now() - began };
    const fault = spec.bad ? badFault(response, text) : answerFault(response, text, spec, id);
    if (fault === undefined) {
      count[spec.bad || response.status !== 200 ? "errors" : "answers"] += 1;
      if (!spec.bad && response.status !== 200 && isPromised) this.#report("an error, though one deployment was healthy", seen, text);
      return;
    }
    if (fault === "broken") {
      count.broken += 1;
      // Only a fault after the commit point may break a stream, and never one that is held until it
      // is complete.
      if (isPromised && (spec.whole || !this.#callsOf(id).some(({ fault }) => isLate(fault)))) {
        this.#report("a stream broke, though no upstream broke it", seen, text);
      }
      return;
    }
    this.#report(fault, seen, text);
  }

  // Whether a limit of the gateway has refused the request. One that is not used up refuses nobody,
  // and a quota refuses nobody while isolates that hold no leases may still have half of it.
  #isOfLimits(spec, response, text) {
    if (spec.limited && response.status === 200) this.limited.served += 1;
    const isOurs = /"message":"(Your|The gateway's) limit of/.test(text);
    // While the ledger does not answer, nothing more is served of the quota.
    const isUnknown = response.status === 503 && text.includes('"limits_unavailable"');
    if (!isOurs && !isUnknown) return false;
    if (isOurs) this.limited.refused += 1;
    if (!spec.limited) this.violation("a limit that is not used up refused a request", { status: response.status, text: text.slice(0, 300) });
    if (isOurs && this.limited.begun < QUOTA / 2) this.violation("a quota refused, though half of it was left", { ...this.limited });
    return true;
  }

  #report(what, seen, text) {
    this.violation(what, { ...seen, body: text.slice(0, 600), calls: this.#callsOf(seen.id) });
  }

  #callsOf(id) {
    return UPSTREAMS.flatMap((name) =>
      this.#simulator
        .calls(name)
        .filter(({ body }) => body?.includes(`"${id}"`))
        .map(({ time, outcome, fault }) => ({ upstream: name, time, outcome, fault })));
  }
}

function bodyOf({ model, path, stream = false }, id) {
  if (path.endsWith("embeddings")) return { model, input: id, user: id };
  return { model, user: id, stream, messages: [{ role: "user", content: `echo ${id}` }] };
}

function badFault(response, text) {
  if (response.status < 400 || response.status > 499) return `status ${response.status} for a bad request`;
  return errorFault(response, text);
}

// The fault of an answer: undefined if there is none, "broken" for a stream that ends with an error
// event, otherwise a description.
function answerFault(response, text, spec, id) {
  if (response.status !== 200) {
    const fault = errorFault(response, text);
    if (fault) return fault;
    // An upstream that does not offer the operation answers 400.
    return [400, 401, 403, 404, 408, 429].includes(response.status) || response.status >= 500 ? undefined : `status ${response.status}`;
  }
  const name = response.headers.get("x-switchyard-deployment") ?? "";
  const label = Object.keys(DEPLOYMENTS).find((upstream) => name.startsWith(DEPLOYMENTS[upstream]));
  try {
    if (spec.path.endsWith("embeddings")) {
      return JSON.parse(text).data?.length === 1 ? undefined : "not one embedding";
    }
    if (!spec.stream) return contentFault(JSON.parse(text).choices[0].message.content, label, id);
    const { text: content, done, errors } = readChatStream(text);
    const isFinished = done || /"finish_reason":"stop"/.test(text);
    if (errors.length > 0) return spec.whole || errors.length === 1 ? "broken" : "more than one error event";
    if (!isFinished) return "a stream that ends without a finish or an error";
    return contentFault(content, label, id);
  } catch (error) {
    // A stream that breaks within an event: what came of the event cannot be read.
    if (spec.stream && /"code":"upstream_(truncated|timeout)"/.test(text)) return "broken";
    return `an answer that cannot be read: ${error.message}`;
  }
}

// The content must be the complete answer, exactly once. `label` is undefined for a held stream,
// whose headers are sent before a deployment is chosen.
function contentFault(content, label, id) {
  const expected = new RegExp(`^hello from ${label ?? "\\w+"}/[\\w.-]+: ${id}$`);
  return expected.test(content) ? undefined : `not the answer of ${label} to ${id}: ${content}`;
}

// An error of the gateway, or one of an upstream unchanged. Azure's errors have no type and no
// param.
function errorFault(response, text) {
  if (!/^application\/json/.test(response.headers.get("content-type") ?? "")) return "an error that is not JSON";
  try {
    const { message, code } = JSON.parse(text).error;
    return typeof message === "string" && code !== undefined ? undefined : "an error in another shape";
  } catch {
    return "an error that cannot be read";
  }
}
