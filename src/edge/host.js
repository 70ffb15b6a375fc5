// The host's half of the way of a request: what `host.rs` asks of the runtime, and the news that it gets back.
//
// Each function here does in JavaScript what would take many calls across the boundary from Wasm. Headers cross it as one text
// (`name\nvalue\n…`; neither can contain a line break), bodies as pieces of what lies here already, and a promise tells its end by a
// number (`task.rs`). Where headers are passed on, the runtime copies all of them, and takes out those that may not: that costs a
// fraction of handing over each.
//
// It is bundled with the code that wasm-bindgen generates, and with `instance.js`. The instance takes some of these functions before
// this module has run: so they are declarations.

import { answered, failed, goesOn, mayReturn, rang, received, told } from "./instance.js";

/** Names of which a verdict is remembered. Clients and upstreams use a few dozen; what somebody makes up must not fill the memory. */
const MOST_NAMES = 1000;

/** Remembers what Wasm says of a header's name. */
function remembered(verdict) {
  const known = new Map();
  return (name) => {
    let is = known.get(name);
    if (is === undefined) {
      if (known.size >= MOST_NAMES) known.clear();
      is = verdict(name);
      known.set(name, is);
    }
    return is;
  };
}

const isForwarded = remembered(goesOn);
const isReturned = remembered(mayReturn);

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
  #withheld = [];
  #bytes;

  constructor(request, env, context, answer) {
    this.request = request;
    this.env = env;
    this.context = context;
    this.#answer = answer;
  }

  /** Method, URL and headers, as one text. */
  head() {
    let text = `${this.request.method}\n${this.request.url}\n`;
    this.request.headers.forEach((value, name) => {
      text += `${name}\n${value}\n`;
      if (!isForwarded(name)) this.#withheld.push(name);
    });
    return text;
  }

  /** Reads the body to its end. */
  read(wait) {
    this.request.arrayBuffer().then(
      (buffer) => {
        this.#bytes = new Uint8Array(buffer);
        this.tell(received, wait, this.#bytes);
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

  /** Takes the body that was read otherwise. */
  keep(bytes) {
    this.#bytes = bytes.slice();
  }

  /** One more header of the request that stays here. */
  withhold(name) {
    this.#withheld.push(name);
  }

  answer(response) {
    this.#answer(response);
  }

  /** The headers that go on to an upstream, those in `text` over them. */
  headers(text) {
    const headers = new Headers(this.request.headers);
    for (const name of this.#withheld) headers.delete(name);
    lay(headers, text);
    return headers;
  }

  /** The body: as it came, or in pieces: three numbers each, 0 for what came and 1 for `inserted`, and where the piece begins and ends. */
  body(pieces, inserted) {
    if (pieces.length === 0) return this.#bytes;
    let length = 0;
    for (let at = 0; at < pieces.length; at += 3) length += pieces[at + 2] - pieces[at + 1];
    const body = new Uint8Array(length);
    let end = 0;
    for (let at = 0; at < pieces.length; at += 3) {
      const piece = (pieces[at] === 0 ? this.#bytes : inserted).subarray(pieces[at + 1], pieces[at + 2]);
      body.set(piece, end);
      end += piece.length;
    }
    return body;
  }
}

/** An upstream call. */
export class Call {
  #exchange;
  #controller = new AbortController();
  #response;
  #withheld = [];
  #body = null;

  constructor(exchange) {
    this.#exchange = exchange;
  }

  /**
   * Sends a request, and tells the answer. `text`: URL, method and headers. `stream`: the body, where it is none of the exchange's. JSON
   * that says that it is not longer than `most` bytes is read at once.
   */
  send(text, pieces, inserted, stream, most, wait) {
    const [url, method] = text.split("\n", 2);
    const init = {
      method,
      headers: this.#exchange.headers(text.slice(url.length + method.length + 2)),
      body: stream === undefined ? this.#exchange.body(pieces, inserted) : stream,
      redirect: "manual",
      signal: this.#controller.signal,
    };
    fetch(url, init).then(
      (response) => this.#answered(response, most, wait),
      (error) => this.#exchange.tell(failed, wait, error),
    );
  }

  #answered(response, most, wait) {
    this.#response = response;
    let text = "";
    response.headers.forEach((value, name) => {
      text += `${name}\n${value}\n`;
      if (!isReturned(name)) this.#withheld.push(name);
    });
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

  /** The response for the client, with `own` headers: with another body, or with what was read at once. */
  pass(own, body) {
    const { status, headers } = this.#response;
    const response = new Response(body ?? this.#body, { status, headers });
    for (const name of this.#withheld) response.headers.delete(name);
    lay(response.headers, own);
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

/** Lays the headers in a text over others. Where HTTP does not allow one, it is left out. */
function lay(headers, text) {
  const parts = text.split("\n");
  for (let at = 0; at + 1 < parts.length; at += 2) {
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
  lay(response.headers, text);
  return response;
}
