// The host's half of the way of a request: what `host.rs` asks of the runtime, and the news that it gets back.
//
// Each function here does in JavaScript what would take many calls across the boundary from Wasm: all headers cross it as one text
// (`name\nvalue\n…`; neither can contain a line break), and a promise tells its end by a number (`task.rs`).
//
// It is bundled with the code that wasm-bindgen generates, and with `instance.js`.

import { failed, rang, told } from "./instance.js";

/** Tells Wasm the end of a promise. */
export function settle(promise, wait) {
  promise.then(
    (value) => told(wait, value),
    (error) => failed(wait, error),
  );
}

export const arm = (task, ms) => setTimeout(rang, ms, task);
export const disarm = (timer) => clearTimeout(timer);

/** Method, URL and headers of a request. */
export const arrival = (request) => `${request.method}\n${request.url}\n${listed(request.headers)}`;

/** All headers. */
export function listed(headers) {
  let text = "";
  for (const [name, value] of headers) text += `${name}\n${value}\n`;
  return text;
}

/** The headers in such a text. Where HTTP does not allow one, it is left out. */
function headersOf(text) {
  const parts = text.split("\n");
  const headers = {};
  for (let at = 0; at + 1 < parts.length; at += 2) headers[parts[at]] = parts[at + 1];
  return headers;
}

/** Reads a body to its end. */
export function readAll(message, wait) {
  message.arrayBuffer().then(
    (buffer) => told(wait, new Uint8Array(buffer)),
    (error) => failed(wait, error),
  );
}

/** An upstream call. */
export class Call {
  #controller = new AbortController();

  /** Sends a request, and tells the response. */
  send(url, method, headers, body, wait) {
    const init = { method, headers: headersOf(headers), body, redirect: "manual", signal: this.#controller.signal };
    fetch(url, init).then(
      (response) => told(wait, response),
      (error) => failed(wait, error),
    );
  }

  abort() {
    this.#controller.abort();
  }
}

/** A response. */
export const response = (status, headers, body) => new Response(body, { status, headers: headersOf(headers) });

/** A text of pieces: three numbers each, 0 for `original` and 1 for `inserted`, where the piece begins there, and where it ends. */
export function splice(original, pieces, inserted) {
  let length = 0;
  for (let at = 0; at < pieces.length; at += 3) length += pieces[at + 2] - pieces[at + 1];
  const spliced = new Uint8Array(length);
  let end = 0;
  for (let at = 0; at < pieces.length; at += 3) {
    const piece = (pieces[at] === 0 ? original : inserted).subarray(pieces[at + 1], pieces[at + 2]);
    spliced.set(piece, end);
    end += piece.length;
  }
  return spliced;
}
