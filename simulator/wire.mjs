// Sends an answer, with the faults that affect sending. Resolves with "finished", or with "cut" if
// the caller of `send` must destroy the connection. Rejects when the client leaves.

import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";

export async function send(response, answer, fault, signal) {
  if (fault.slow_headers_ms) await wait(fault.slow_headers_ms, undefined, { signal });
  return answer.events ? sendEvents(response, answer, fault, signal) : sendWhole(response, answer, fault, signal);
}

// Rejects when the caller leaves; never resolves.
export function untilCallerLeaves(signal) {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (signal.aborted) reject(signal.reason);
  });
}

async function sendWhole(response, answer, fault, signal) {
  const [body, type] = encode(answer);
  response.writeHead(answer.status ?? 200, {
    "content-type": type,
    "content-length": body.length,
    ...answer.headers,
    ...fault.headers,
  });
  const stops = fault.cut_after !== undefined || fault.stall_after !== undefined;
  if (!stops || answer.status >= 400) {
    response.end(body);
    return "finished";
  }
  await write(response, body.subarray(0, body.length / 2));
  return stop(fault, signal);
}

function encode({ json, text, bytes, type }) {
  if (json !== undefined) return [Buffer.from(JSON.stringify(json)), "application/json"];
  if (text !== undefined) return [Buffer.from(text), "text/plain; charset=utf-8"];
  return [bytes, type];
}

async function sendEvents(response, answer, fault, signal) {
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    ...answer.headers,
    ...fault.headers,
  });
  response.flushHeaders();
  const firstContent = answer.events.findIndex(({ content }) => content);
  const last = fault.cut_after ?? fault.end_after ?? fault.stall_after ?? fault.error_after ?? Infinity;
  for (const [index, event] of answer.events.entries()) {
    if (index === last) break;
    if (index === firstContent && fault.slow_first_token_ms) {
      await wait(fault.slow_first_token_ms, undefined, { signal });
    }
    if (index > 0 && fault.pause_ms) await wait(fault.pause_ms, undefined, { signal });
    if (index === fault.malformed_after) await write(response, frame(fault, '{"id":"broken","choi'), fault);
    if (event.data === "[DONE]" && fault.no_done) continue;
    const data = typeof event.data === "string" ? event.data : JSON.stringify(event.data);
    await write(response, frame(fault, data, event.event), fault);
    signal.throwIfAborted();
  }
  if (fault.error_after !== undefined) await write(response, frame(fault, ...errorEvent(answer, last)), fault);
  if (fault.cut_after !== undefined || fault.stall_after !== undefined) return stop(fault, signal);
  if (fault.stay_open) await untilCallerLeaves(signal);
  response.end();
  return "finished";
}

async function stop(fault, signal) {
  if (fault.stall_after !== undefined) await untilCallerLeaves(signal);
  return "cut";
}

function frame(fault, data, event) {
  const lines = [...(fault.comments ? [": keep-alive", ""] : []), ...(event ? [`event: ${event}`] : []), `data: ${data}`, "", ""];
  return Buffer.from(lines.join(fault.crlf ? "\r\n" : "\n"));
}

// The Responses API has an event type for errors. Chat completions send an error object as a chunk.
function errorEvent(answer, sequence_number) {
  const message = "The server had an error while processing your request. Sorry about that!";
  if (answer.events[0].event?.startsWith("response.")) {
    const error = { type: "error", code: "server_error", message, param: null, sequence_number };
    return [JSON.stringify(error), "error"];
  }
  return [JSON.stringify({ error: { message, type: "server_error", param: null, code: null } })];
}

const PIECE_BYTES = 5;

async function write(response, bytes, fault = {}) {
  const size = fault.split ? PIECE_BYTES : bytes.length;
  for (let at = 0; at < bytes.length; at += size) {
    const written = new Promise((resolve) => response.write(bytes.subarray(at, at + size), resolve));
    await written;
    if (fault.split) await nextTurn(); // so that each piece is sent in its own segment
  }
}
