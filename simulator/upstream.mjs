// One simulated upstream: a listening socket, the dialect of a provider, faults and recorded calls.

import { createServer } from "node:http";
import { once } from "node:events";
import { MULTIPART } from "./answers.mjs";
import { Calls } from "./calls.mjs";
import { Faults } from "./faults.mjs";
import { send, untilCallerLeaves } from "./wire.mjs";

export class Upstream {
  calls = new Calls();
  #dialect;
  #faults;
  #server;
  #port;
  #reopening;

  // A dialect has the functions `locate(url)` → {operation, …}, `respond(call)` → answer,
  // `error(name, call)` → answer and `headers(call)`, and `forget()` if it stores anything.
  constructor(dialect, { random, now }) {
    this.#dialect = dialect;
    this.#faults = new Faults({ random, now });
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async open(port = 0) {
    this.#server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => this.#serve(request, response));
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }

  async close() {
    clearTimeout(this.#reopening);
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  faults() {
    return this.#faults.list();
  }

  async fault(spec) {
    const entry = this.#faults.add(spec);
    if (!entry.fault.refuse) return;
    await this.close();
    if (spec.for_ms !== undefined) this.#reopening = setTimeout(() => this.#reopen(entry), spec.for_ms);
  }

  // Removes stored responses and stored objects.
  forget() {
    this.#dialect.forget?.();
  }

  async clearFaults() {
    this.#faults.clear();
    await this.#reopen();
  }

  async #reopen(entry) {
    clearTimeout(this.#reopening);
    if (entry) this.#faults.remove(entry);
    if (!this.#server) await this.open(this.#port);
  }

  async #serve(request, response) {
    const record = this.calls.open(request);
    const gone = new AbortController();
    response.on("close", () => {
      if (!response.writableFinished) gone.abort(new Error("the caller left"));
      this.calls.close(record, response.writableFinished ? "finished" : "aborted");
    });
    response.on("error", () => {}); // "close" handles a caller that left
    request.on("error", () => {});
    try {
      const call = await this.#read(request, record);
      const fault = this.#faults.take(call);
      if (Object.keys(fault).length > 0) record.fault = fault;
      const end = await this.#answer(call, fault, response, gone.signal);
      if (end === "finished") return;
      this.calls.close(record, "broken");
      if (end === "reset") response.socket.resetAndDestroy();
      else response.destroy();
    } catch (error) {
      if (!gone.signal.aborted && !request.destroyed) this.#fail(response, error);
    }
  }

  async #read(request, record) {
    const url = new URL(request.url, this.url);
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    this.calls.received(record, body);
    const call = { ...this.#dialect.locate(url), url, method: request.method, headers: request.headers, raw: body };
    Object.assign(record, { operation: call.operation, deployment: call.deployment });
    call.body = await fields(call, request.headers["content-type"]);
    call.stream = call.body?.stream === true || call.body?.stream === "true";
    return call;
  }

  async #answer(call, fault, response, signal) {
    if (fault.reset) return "reset";
    if (fault.silence) await untilCallerLeaves(signal);
    const answer = this.#faultAnswer(call, fault) ?? this.#dialect.respond(call, signal);
    const headers = { ...this.#dialect.headers(call), ...answer.headers };
    if (fault.cookie) headers["set-cookie"] = "__cf_bm=simulated-cookie; path=/; HttpOnly; Secure";
    if (answer.relay) return answer.relay(response, headers);
    return send(response, { ...answer, headers }, fault, signal);
  }

  // The answer that replaces the normal one; undefined if the fault does not replace it.
  #faultAnswer(call, fault) {
    if (fault.error) return this.#dialect.error(fault.error, call);
    if (fault.error_body) return { ...this.#dialect.error("server_error", call), status: 200 };
    if (fault.redirect) {
      const location = fault.redirect === true ? `${this.url}/redirected` : fault.redirect;
      return { status: 302, headers: { location }, text: "" };
    }
    if (fault.status === undefined) return undefined;
    const { status, body = "" } = fault;
    return typeof body === "string" ? { status, text: body } : { status, json: body };
  }

  #fail(response, error) {
    if (response.headersSent) return response.destroy();
    response.writeHead(500, { "content-type": "text/plain" });
    response.end(`the simulator failed: ${error.stack}\n`);
  }
}

// The fields of a JSON or multipart body; undefined if there is no body or it cannot be parsed.
async function fields({ operation, raw }, type = "") {
  if (raw.length === 0) return undefined;
  try {
    if (!MULTIPART.has(operation) || type.includes("json")) return JSON.parse(raw);
    const form = await new Response(raw, { headers: { "content-type": type } }).formData();
    return Object.fromEntries(form);
  } catch {
    return undefined;
  }
}
