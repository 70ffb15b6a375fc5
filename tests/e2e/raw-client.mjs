// A client that writes its own bytes, so that it can stop anywhere: in the middle of its upload,
// before its answer, or while it should read.

import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { APP_KEY } from "./document.mjs";

// An HTTP/1.1 request of the app. `part` is the share of the body that is included.
export function requestOf(host, text, { path = "/v1/chat/completions", type = "application/json", part = 1 } = {}) {
  const bytes = Buffer.from(text);
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: ${host}`,
    `authorization: Bearer ${APP_KEY}`,
    `content-type: ${type}`,
    `content-length: ${bytes.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), bytes.subarray(0, bytes.length * part)]);
}

// Sends a request, waits for `ms` milliseconds or, if `answered`, for the first bytes of the answer,
// and resets the connection.
export async function leave({ hostname, port }, bytes, { ms, answered = false }) {
  const socket = connect(Number(port), hostname);
  const closed = new Promise((resolve) => socket.on("close", resolve).on("error", resolve));
  socket.write(bytes);
  const answer = new Promise((resolve) => socket.once("data", resolve));
  await Promise.race([wait(ms), ...(answered ? [answer] : []), closed]);
  socket.resetAndDestroy();
  await closed;
}

// Sends a request, and reads nothing of its answer for `ms` milliseconds. Then it reads for as long
// again, and resets the connection. Resolves with the number of bytes that it has read.
export async function readLate({ hostname, port }, bytes, ms) {
  const socket = connect(Number(port), hostname);
  const closed = new Promise((resolve) => socket.on("close", resolve).on("error", resolve));
  socket.pause();
  socket.write(bytes);
  await wait(ms);
  let read = 0;
  socket.on("data", (data) => (read += data.length));
  await Promise.race([wait(ms), closed]);
  socket.resetAndDestroy();
  await closed;
  return read;
}
