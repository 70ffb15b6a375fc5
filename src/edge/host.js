// The host's half of the way of a request: what `host.rs` asks of the runtime, and the news that it gets back.
//
// Each function here does in JavaScript what would take many calls across the boundary from Wasm. Headers cross it as one text
// (`name\nvalue\n…`; neither can contain a line break), bodies as pieces of what lies here already, and a promise tells its end by a
// number (`task.rs`). Where headers are passed on, the runtime copies all of them, and takes out those that may not: that costs a
// fraction of handing over each.
//
// It is bundled with the code that wasm-bindgen generates, and with `instance.js`. The instance takes some of these functions before
// this module has run: so they are declarations.

import { edited, isLong, read } from "./kept.js";
import { answered, failed, rang, received, told } from "./instance.js";

/** Tells the end of a promise. */
export function settle(promise, wait) {
  promise.then(
    (value) => told(wait, value),
    (error) => failed(wait, error),
  );
}

export function arm(task, ms) {
  return setTimeout(() => rang(task), ms);
}

export function disarm(timer) {
  clearTimeout(timer);
}

/** A request that has arrived, and who waits for its answer. */
export class Exchange {
  #answer;
  #bytes;

  constructor(request, env, context, answer) {
    this.request = request;
    this.env = env;
    this.context = context;
    this.#answer = answer;
  }

  /** Method, URL and headers, as one text. */
  head() {
    return `${this.request.method}\n${this.request.url}\n${textOf(this.request.headers)}`;
  }

  /** Reads the body, of so many bytes, to its end. */
  read(length, wait) {
    read(this.request, length).then(
      (bytes) => {
        this.#bytes = bytes;
        this.tell(received, wait, bytes.length, isLong(bytes.length) ? undefined : bytes);
      },
      (error) => this.tell(failed, wait, error),
    );
  }

  /** Calls Wasm with news for this request. Should it trap, the request is lost with it, and its client need not wait. */
  tell(news, ...given) {
    try {
      news(...given);
    } catch (error) {
      this.#answer(Promise.reject(error));
    }
  }

  /** What the body has there. */
  part(start, end) {
    return this.#bytes.subarray(start, end);
  }

  /** Takes the body that was read otherwise. */
  keep(bytes) {
    this.#bytes = bytes.slice();
  }

  answer(response) {
    this.#answer(response);
  }

  /** Calls `send` with the body, edited (`kept.js`). */
  edited(pieces, inserted, send) {
    return edited(this.#bytes, pieces, inserted, send);
  }
}

/** An upstream call. */
export class Call {
  #exchange;
  #controller = new AbortController();
  #response;
  #body = null;

  constructor(exchange) {
    this.#exchange = exchange;
  }

  /**
   * Sends a request, and tells the answer. `text`: URL, method, and what is done to the headers (`change`). `stream`: the body, where it
   * is none of the exchange's. JSON that says that it is not longer than `most` bytes is read at once.
   */
  send(text, pieces, inserted, stream, most, wait) {
    const parts = text.split("\n");
    const [url, method] = parts;
    const headers = new Headers(this.#exchange.request.headers);
    change(headers, parts, 2);
    const { signal } = this.#controller;
    const send = (body) => fetch(url, { method, headers, body, redirect: "manual", signal });
    const sent = stream === undefined ? this.#exchange.edited(pieces, inserted, send) : send(stream);
    sent.then(
      (response) => this.#answered(response, most, wait),
      (error) => this.#exchange.tell(failed, wait, error),
    );
  }

  #answered(response, most, wait) {
    this.#response = response;
    const text = textOf(response.headers);
    if (!isShort(response, most)) return this.#exchange.tell(answered, wait, response.status, text, undefined);
    response.arrayBuffer().then(
      (buffer) => {
        this.#body = buffer;
        this.#exchange.tell(answered, wait, response.status, text, new Uint8Array(buffer));
      },
      (error) => this.#exchange.tell(failed, wait, error),
    );
  }

  /** Whether there is an answer, of which some may be on its way. */
  isAnswered() {
    return this.#response !== undefined;
  }

  /** What follows the headers, if anything does. */
  stream() {
    return this.#response.body;
  }

  /** The response for the client: with another body, or with what was read at once. `text`: what is done to the headers. */
  pass(text, body) {
    const { status, headers } = this.#response;
    const response = new Response(body ?? this.#body, { status, headers });
    change(response.headers, text.split("\n"), 0);
    return response;
  }

  abort() {
    this.#controller.abort();
  }
}

/** Of a compressed answer its length says nothing: what is read here is not. */
function isShort({ ok, headers }, most) {
  const length = Number(headers.get("content-length"));
  return (
    ok &&
    length > 0 &&
    length <= most &&
    !headers.has("content-encoding") &&
    headers.get("content-type")?.startsWith("application/json") === true
  );
}

function textOf(headers) {
  let text = "";
  headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/** Takes out the headers that the parts from `at` on name, up to an empty one, and lays those behind it over what is left. */
function change(headers, parts, at) {
  for (; parts[at]; at += 1) headers.delete(parts[at]);
  lay(headers, parts, at + 1);
}

/** Lays headers over others: name, value, name, value, …, from `at` on. Where HTTP does not allow one, it is left out. */
function lay(headers, parts, at) {
  for (; at + 1 < parts.length; at += 2) {
    try {
      headers.set(parts[at], parts[at + 1]);
    } catch {
      // No header.
    }
  }
}

/** A response of our own. */
export function response(status, text, body) {
  const response = new Response(body, { status });
  lay(response.headers, text.split("\n"), 0);
  return response;
}
