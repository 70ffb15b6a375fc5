// The calls of the runtime that every request makes (`host.rs`). Each function does in JavaScript
// what would take many calls from Wasm: headers cross as one text (`name\nvalue\n…`; neither can
// contain a line break), the bytes of a body stay here, and the runtime copies what is passed on.
// Nothing is decided here.

import { tracing } from "cloudflare:workers";
import { Timers, endWait, failWait, onTrap, resolved } from "./waits.js";

/** A body of this length or more is long. For a shorter one, a reader costs more than a copy. */
const LONG = 64 * 1024;

/**
 * How many bytes an edit may add in place at each end of a long body: far more than a model name.
 */
const ROOM = 4 * 1024;

/**
 * How many bytes all bodies may reserve together. A buffer that grows costs copies, and a buffer of
 * the stated length may wait in vain, so only some have one.
 */
const RESERVED = 32 * 1024 * 1024;

/**
 * The bytes that the bodies of all requests hold, and those that they have reserved. A trap ends
 * these requests, and their counts.
 */
let bodies = { held: 0, reserved: 0 };

onTrap(() => {
  bodies = { held: 0, reserved: 0 };
});

/** Thrown when bodies hold too much. */
const FULL = Symbol("the bodies hold too much");

/** The name of the cache with the answers of nodes. Nothing else of the zone reads it. */
const ANSWERS = "switchyard-answers";
let answersCache;

/** The cache, which is opened once. */
async function answers() {
  return (answersCache ??= await caches.open(ANSWERS));
}

/** A request that has arrived. */
export class Exchange extends Timers {
  #request;
  #bytes;
  #rest;
  #bodies = bodies;
  #held = 0;
  #reserved = 0;
  #reader;
  #isReleased = false;
  /** The span of the invocation, which is the request. */
  #span = tracing.getActiveSpan();
  #attemptSpans = new Map();

  constructor(request) {
    super();
    this.#request = request;
    this.isKept = true;
  }

  /** Whether the runtime records the spans of this request. */
  get isTraced() {
    return this.#span.isTraced;
  }

  /** Begins the span of an attempt. `attributes`: JSON, with the `name` of the span. */
  beginSpan(attempt, attributes) {
    const { name, ...rest } = JSON.parse(attributes);
    this.#attemptSpans.set(attempt, tracing.startSpan(name).setAttributes(rest));
  }

  /** Ends the span of an attempt, with further attributes. */
  endSpan(attempt, attributes) {
    const span = this.#attemptSpans.get(attempt);
    this.#attemptSpans.delete(attempt);
    span?.setAttributes(JSON.parse(attributes)).end();
  }

  /** Gives the span of the request attributes, and ends the spans of its attempts. */
  endTrace(attributes) {
    for (const span of this.#attemptSpans.values()) span.end();
    this.#attemptSpans.clear();
    this.#span.setAttributes(JSON.parse(attributes));
  }

  /** Method, URL and headers, as one text. */
  head() {
    return `${this.#request.method}\n${this.#request.url}\n${textOf(this.#request.headers)}`;
  }

  /** Where it comes from, as one text: continent, country, colo, latitude, longitude. */
  place() {
    const { continent, country, colo, latitude, longitude } = this.#request.cf ?? {};
    return [continent, country, colo, latitude, longitude].map((part) => part ?? "").join("\n");
  }

  /** Ends the wait when the client leaves. Needs the compatibility flag `enable_request_signal`. */
  clientLeft(wait) {
    const { signal } = this.#request;
    if (signal.aborted) return endWait(wait, 0, undefined, undefined);
    // `onabort` costs nearly twice as much (docs/benchmarks.md).
    signal.addEventListener("abort", () => endWait(wait, 0, undefined, undefined));
  }

  /**
   * Reads the body and stores it. `length` is what its header says, in bytes. The wait ends with
   * the length, and with the bytes of a short body. `most` and `late` are limits: the bytes that all
   * bodies hold together, and the time. The wait ends with the text "full" or "late" at one of them.
   */
  read(length, most, late, wait) {
    this.#within(late, wait, this.#readAll(length, most), (bytes) => {
      this.#bytes = bytes;
      endWait(wait, bytes.length, undefined, bytes.length >= LONG ? undefined : bytes);
    });
  }

  async #readAll(length, most) {
    const body = length < LONG ? null : this.#request.body;
    if (body !== null) {
      this.#reader = body.getReader({ mode: "byob" });
      return readLong(this.#reader, length, this.#reserve(length), (held) => this.#hold(held, most));
    }
    const buffer = await this.#request.arrayBuffer();
    this.#hold(buffer.byteLength, most);
    return new Uint8Array(buffer);
  }

  /**
   * Reads the body until it ends or is longer than `limit`. The wait ends with the bytes, and with
   * 1 if more bytes follow. Those can be sent with one call. `most` and `late` are as for `read`.
   */
  readStart(limit, most, late, wait) {
    this.#within(late, wait, this.#readUpTo(limit, most), ([bytes, isLonger]) =>
      endWait(wait, isLonger ? 1 : 0, undefined, bytes),
    );
  }

  async #readUpTo(limit, most) {
    const { body } = this.#request;
    if (body === null) return [(this.#bytes = new Uint8Array()), false];
    const reader = body.getReader();
    this.#reader = reader;
    const parts = [];
    for (let length = 0; length <= limit; length += parts.at(-1).length) {
      this.#hold(length, most);
      const { done, value } = await reader.read();
      if (done) return [(this.#bytes = joined(parts)), false];
      parts.push(value);
    }
    reader.releaseLock();
    this.#reader = undefined;
    this.#rest = body;
    return [joined(parts), true];
  }

  /** Ends the wait of a read with its result, or with the limit that was reached. */
  #within(late, wait, read, end) {
    const limited = (text) => {
      this.release();
      endWait(wait, 0, text, undefined);
    };
    this.ringAt("body", late, () => limited("late"));
    read.then(
      (result) => {
        this.disarm("body");
        this.#reader = undefined;
        if (!this.#isReleased) end(result);
      },
      (error) => {
        this.disarm("body");
        if (error === FULL) limited("full");
        else failWait(wait, error);
      },
    );
  }

  /** Counts so many bytes for this body. Throws if all bodies together then hold more than `most`. */
  #hold(bytes, most) {
    if (this.#isReleased) return;
    this.#bodies.held += bytes - this.#held;
    this.#held = bytes;
    if (this.#bodies.held > most) throw FULL;
  }

  /** Reserves so many bytes for this body, if there is room. */
  #reserve(bytes) {
    if (this.#bodies.reserved + bytes > RESERVED) return false;
    this.#bodies.reserved += bytes;
    this.#reserved = bytes;
    return true;
  }

  /** Frees the bytes of the body, and reads no more of it: no further call sends them. */
  release() {
    if (this.#isReleased) return;
    this.#hold(0, Infinity);
    this.#bodies.reserved -= this.#reserved;
    this.#isReleased = true;
    this.#bytes = undefined;
    this.isKept = false;
    this.disarm("body");
    const reader = this.#reader;
    this.#reader = undefined;
    // The wait of the read ends whatever comes of this.
    if (reader !== undefined) resolved.then(() => reader.cancel()).catch(() => {});
  }

  /** The bytes of the body from `start` to `end`. */
  part(start, end) {
    return this.#bytes.subarray(start, end);
  }

  /** The body with an edit, for `send`. */
  edited(pieces, inserted, send) {
    return withEdit(this.#bytes, pieces, inserted, send);
  }

  /**
   * A stream of `first` and of the bytes that `readStart` did not read. `length` is the total in
   * bytes; it is negative if it is not known. `carried` ends when all of it was sent, or cannot be.
   */
  once(first, length) {
    const { readable, writable } = uploadStream(length);
    const rest = this.#rest;
    const carry = async () => {
      const writer = writable.getWriter();
      await writer.write(first);
      writer.releaseLock();
      await rest.pipeTo(writable);
    };
    // A failure here also fails the upstream call, and that call reports it.
    return { readable, carried: carry().catch(() => {}) };
  }

  /** The stream of the bytes that `readStart` did not read. */
  rest() {
    return this.#rest;
  }

  /** A call of an upstream. */
  call() {
    return new Call(this, this.#request.headers);
  }
}

/** A stream to an upstream. `length` is in bytes; it is negative if it is not known. */
function uploadStream(length) {
  return length < 0 ? new IdentityTransformStream() : new FixedLengthStream(length);
}

/** A call of an upstream. */
class Call {
  #exchange;
  #clientHeaders;
  #controller = new AbortController();
  #response;
  #body = null;
  #upload;
  #carried = resolved;

  constructor(exchange, clientHeaders) {
    this.#exchange = exchange;
    this.#clientHeaders = clientHeaders;
  }

  /**
   * Sends the request. The wait ends with status and headers of the response. `text`: URL, method,
   * and the changes of the headers (`change`). `hasBody`: whether the client's body is sent, with
   * the edit of `pieces` and `inserted` (`withEdit`). A JSON body of at most `most` bytes, as its
   * header says, is read at once and is part of the result.
   */
  send(text, hasBody, pieces, inserted, most, wait) {
    const send = this.#sender(text);
    this.#whenSent(hasBody ? this.#exchange.edited(pieces, inserted, send) : send(null), most, wait);
  }

  /** The same with a body that can be sent once: `first`, and the bytes after it. */
  sendOnce(text, first, length, most, wait) {
    const { readable, carried } = this.#exchange.once(first.slice(), length);
    this.#carried = carried;
    this.#whenSent(this.#sender(text)(readable), most, wait);
  }

  /** Ends the wait when the body of `sendOnce` was sent, or cannot be sent to its end. */
  uploadEnd(wait) {
    this.#carried.then(() => endWait(wait, 0, undefined, undefined));
  }

  /** A stream for `sendUpload`. `length` is as in `once`. Returns its writable end. */
  upload(length) {
    const { readable, writable } = uploadStream(length);
    this.#upload = readable;
    return writable;
  }

  /** The same with a body that is written to `upload`. */
  sendUpload(text, most, wait) {
    this.#whenSent(this.#sender(text)(this.#upload), most, wait);
  }

  #sender(text) {
    const parts = text.split("\n");
    const [url, method] = parts;
    const headers = new Headers(this.#clientHeaders);
    change(headers, parts, 2);
    const { signal } = this.#controller;
    return (body) => fetch(url, { method, headers, body, redirect: "manual", signal });
  }

  #whenSent(sent, most, wait) {
    sent.then(
      (response) => this.#onResponse(response, most, wait),
      (error) => failWait(wait, error),
    );
  }

  #onResponse(response, most, wait) {
    this.#response = response;
    const text = textOf(response.headers);
    if (!isShort(response, most)) return endWait(wait, response.status, text, undefined);
    response.arrayBuffer().then(
      (buffer) => {
        this.#body = buffer;
        endWait(wait, response.status, text, new Uint8Array(buffer));
      },
      (error) => failWait(wait, error),
    );
  }

  /**
   * Has a response without a request: status 200, the headers in `text`, and a body that breaks off
   * after `first`.
   */
  breakOff(text, first) {
    const pieces = [first.slice()];
    const pull = (controller) => {
      if (pieces.length > 0) controller.enqueue(pieces.pop());
      else controller.error(new Error("a drill broke it off"));
    };
    this.#response = response(200, text, new ReadableStream({ type: "bytes", pull }));
  }

  /**
   * Has an answer that was kept as its response. Its body is passed on as it stands, and is not read
   * here. The wait ends with the headers of the entry; without a text if there is none.
   */
  findAnswer(key, wait) {
    this.#findAnswer(key).then(
      (text) => endWait(wait, 0, text, undefined),
      (error) => failWait(wait, error),
    );
  }

  async #findAnswer(key) {
    const response = await (await answers()).match(key);
    if (response === undefined) return undefined;
    this.#response = response;
    this.#body = response.body;
    return textOf(response.headers);
  }

  /** Whether the response has arrived. Its body may still be on its way. */
  isAnswered() {
    return this.#response !== undefined;
  }

  /** The body of the response, if it has one. */
  stream() {
    return this.#response.body;
  }

  /**
   * The response for the client, with this body, or with the body that was read at once. `text`:
   * the changes of the headers.
   */
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

/** The length of a compressed answer is not that of its text: it is not read here. */
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

/** Keeps an answer under a key, which is a URL. `text`: the headers of the entry. */
export function keepAnswer(key, text, answer, wait) {
  const entry = response(200, text, answer.slice());
  const stored = answers().then((cache) => cache.put(key, entry));
  stored.then(
    () => endWait(wait, 0, undefined, undefined),
    (error) => failWait(wait, error),
  );
}

/** A response of our own. */
export function response(status, text, body) {
  const response = new Response(body, { status });
  set(response.headers, text.split("\n"), 0);
  return response;
}

function textOf(headers) {
  let text = "";
  headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/**
 * Deletes the headers named by the parts from `at` to an empty part, and sets the headers after it.
 */
function change(headers, parts, at) {
  for (; parts[at]; at += 1) headers.delete(parts[at]);
  set(headers, parts, at + 1);
}

/**
 * Sets headers: name, value, name, value, …, from `at` on. One that HTTP does not allow is left
 * out.
 */
function set(headers, parts, at) {
  for (; at + 1 < parts.length; at += 2) {
    try {
      headers.set(parts[at], parts[at + 1]);
    } catch {
      // HTTP does not allow this header.
    }
  }
}

/**
 * Writes the record of a request: in `record`, on the first line, what goes to the log, if it is not
 * empty. A data point of Analytics Engine may follow: each on a line, the index, the blobs, and the
 * doubles with spaces between them. One that is not accepted is lost, and harms nothing.
 */
export function writeRecord(env, record) {
  const lines = record.split("\n");
  if (lines[0]) console.log(lines[0]);
  if (lines.length === 1) return;
  const doubles = lines.pop().split(" ").map(Number);
  try {
    env.METRICS.writeDataPoint({ indexes: [lines[1]], blobs: lines.slice(2), doubles });
  } catch (error) {
    console.warn(`a data point was not written: ${error.message}`);
  }
}

// Bodies of requests.
//
// A long body is not copied when it is read, and not when it is edited. It is read straight into a
// buffer with room around it. An edit usually changes only a few bytes near the begin or the end of
// the body, so it moves only the bytes on the shorter side. Between two calls of `edited` the bytes
// are as received.

/** How much of a long body is read first. */
const FIRST = 64 * 1024;

/**
 * Reads a long body. `hold(bytes)` counts the bytes that have room, and may refuse them: it grows
 * with the bytes that arrive, because the stated length may never come. If the body `isReserved`,
 * its buffer has the stated length from the beginning. If not, the buffer grows, too.
 */
async function readLong(reader, length, isReserved, hold) {
  // One byte more than the stated length, so that the read reaches the end of the body. A Worker in
  // front may state another length than that of the bytes that it sends.
  const stated = length + 1;
  let size = Math.min(FIRST, stated);
  let end = 0;
  hold(ROOM + size + ROOM);
  let buffer = new ArrayBuffer(ROOM + (isReserved ? stated : size) + ROOM);
  for (;;) {
    const space = size - end;
    const { value } = await reader.readAtLeast(space, new Uint8Array(buffer, ROOM + end, space));
    end += value.length;
    buffer = value.buffer;
    if (value.length < space) return new Uint8Array(buffer, ROOM, end);
    // Few steps, and none that ends shortly before the stated length: each one may cost a copy.
    if (size >= stated) size *= 2;
    else size = size * 32 < stated ? size * 16 : stated;
    hold(ROOM + size + ROOM);
    if (ROOM + size + ROOM <= buffer.byteLength) continue;
    const larger = new ArrayBuffer(ROOM + size + ROOM);
    new Uint8Array(larger, ROOM, end).set(new Uint8Array(buffer, ROOM, end));
    buffer = larger;
  }
}

/**
 * Calls `send` with the body in pieces: three numbers each, 0 for the body that was received and 1
 * for `inserted`, and where the piece begins and ends. No pieces are the body as it was received.
 * `send` takes a copy at once, as `fetch` does
 * (<https://fetch.spec.whatwg.org/#concept-bodyinit-extract>).
 */
function withEdit(bytes, pieces, inserted, send) {
  if (pieces.length === 0) return send(bytes);
  const parts = [];
  let middle = -1;
  for (let at = 0; at < pieces.length; at += 3) {
    const part = (pieces[at] === 0 ? bytes : inserted).subarray(pieces[at + 1], pieces[at + 2]);
    if (pieces[at] === 0 && (middle < 0 || part.length > parts[middle].length)) middle = parts.length;
    parts.push(part);
  }
  // Without a piece of the received body there may be none.
  if (middle < 0 || bytes.length < LONG) return send(joined(parts));
  return around(parts[middle], joined(parts.slice(0, middle)), joined(parts.slice(middle + 1)), send) ?? send(joined(parts));
}

/**
 * Calls `send` with `middle` where it stands, and the others around it. Nothing where there is no
 * room for them.
 */
function around(middle, before, after, send) {
  const begin = middle.byteOffset;
  const end = begin + middle.length;
  if (begin < before.length || end + after.length > middle.buffer.byteLength) return undefined;
  const all = new Uint8Array(middle.buffer, begin - before.length, before.length + middle.length + after.length);
  const found = [all.slice(0, before.length), all.slice(all.length - after.length)];
  const write = (first, last) => {
    all.set(first, 0);
    all.set(last, all.length - last.length);
  };
  write(before, after);
  try {
    return send(all);
  } finally {
    write(...found);
  }
}

function joined(parts) {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
