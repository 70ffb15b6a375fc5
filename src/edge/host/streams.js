// Streams as they stand: readers, pipes inside the runtime, what is written to a client. No function of
// Wasm or of JavaScript runs for a chunk, unless the pipe has a filter.

import { currentFilter, endWait, failWait, filtered, onTrap } from "./waits.js";

/**
 * The streams to clients, each with a function that breaks it off. The function resolves a promise of
 * the stream's own request, because a request may not use the streams of another one.
 */
const openStreams = new Map();

onTrap(() => {
  for (const end of openStreams.values()) end();
  openStreams.clear();
});

/** What is done with a stream as it stands. */
export class Streams {
  /** A stream from here to the client, without JavaScript for a chunk. */
  static toClient() {
    const stream = new IdentityTransformStream();
    const { writable } = stream;
    // A pipe that is at work holds the stream, and ends it itself.
    new Promise((end) => openStreams.set(writable, end)).then(() => writable.abort().catch(() => {}));
    return stream;
  }

  /** The stream to the client is no longer used. */
  static forget(writable) {
    openStreams.delete(writable);
  }

  /** Reads chunks as they come. */
  static chunks(stream) {
    return stream.getReader();
  }

  /** Reads what has arrived in few large pieces. */
  static gathering(stream) {
    return stream.getReader({ mode: "byob" });
  }

  /** Reads no more. */
  static cancel(reader) {
    reader.cancel().catch(() => {});
  }
}

/** Reads the next chunk. The wait ends without bytes at the end of the stream. */
export function readChunk(reader, wait) {
  endWithPiece(reader.read(), wait);
}

/** Reads up to `most` bytes that have arrived, in one piece. The same at the end of the stream. */
export function readGathered(reader, most, wait) {
  endWithPiece(reader.read(new Uint8Array(most)), wait);
}

function endWithPiece(read, wait) {
  read.then(
    ({ done, value }) => endWait(wait, 0, undefined, done ? undefined : value),
    (error) => failWait(wait, error),
  );
}

/**
 * Pipes a stream to the client. `leftOpen`: the client's side stays open at the end. Returns what
 * ends the pipe. If nobody waits for the end of the pipe any more (after a trap), the client's side
 * is ended here: cleanly where the stream ended so, whatever its last event was.
 */
export function pipe(stream, client, leftOpen, wait) {
  const controller = new AbortController();
  const options = { preventClose: leftOpen, preventAbort: leftOpen, signal: controller.signal };
  const abandoned = (end) => leftOpen && end().catch(() => {});
  stream.pipeTo(client, options).then(
    () => endWait(wait, 0, undefined, undefined) || abandoned(() => client.close()),
    (error) => failWait(wait, error) || abandoned(() => client.abort(error)),
  );
  return controller;
}

/** The size of the buffer of a pipe with a filter. */
const PIECE = 16 * 1024;

const NOTHING = new Uint8Array();

/**
 * The same through the filter of the wait, with the client's side left open at the end. A piece is
 * what has arrived. After a trap there is no filter, so the client's side is broken off.
 */
export function pipeFiltered(stream, client, wait) {
  const controller = new AbortController();
  const { signal } = controller;
  const reader = stream.getReader({ mode: "byob" });
  signal.onabort = () => Streams.cancel(reader);
  carryFiltered(reader, client, wait, signal).then(
    () => endWait(wait, 0, undefined, undefined) || client.close().catch(() => {}),
    (error) => failWait(wait, error) || client.abort(error).catch(() => {}),
  );
  return controller;
}

async function carryFiltered(reader, client, wait, signal) {
  const passing = currentFilter();
  const writer = client.getWriter();
  let buffer = new ArrayBuffer(PIECE);
  try {
    for (;;) {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (signal.aborted || passing !== currentFilter()) throw new Error("the pipe was cut");
      const piece = done ? NOTHING : value;
      const bytes = filtered(wait, piece, done) ?? piece;
      if (bytes.length > 0) await writer.write(bytes);
      if (done) return;
      buffer = value.buffer;
    }
  } catch (error) {
    Streams.cancel(reader);
    throw error;
  } finally {
    writer.releaseLock();
  }
}

/** Writes bytes to the client, ends the wait when they are on their way, and unlocks the stream. */
export function write(client, bytes, wait) {
  const copy = bytes.slice();
  const send = async () => {
    const writer = client.getWriter();
    await writer.write(copy).finally(() => writer.releaseLock());
  };
  endWhenDone(send(), wait);
}

/** Ends a stream to the client cleanly. */
export function close(client, wait) {
  const end = async () => client.getWriter().close();
  endWhenDone(end(), wait);
}

function endWhenDone(promise, wait) {
  promise.then(
    () => endWait(wait, 0, undefined, undefined),
    (error) => failWait(wait, error),
  );
}
