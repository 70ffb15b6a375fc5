// The stub upstream: answers every POST like OpenAI or Azure OpenAI, several times faster than
// workerd can send requests. It runs as a separate process and listens on a free port of 127.0.0.1,
// which it sends by IPC. The answer is also set by IPC, so that the stub does not parse request
// bodies.
//
// It uses sockets and a minimum of HTTP/1.1: it reads the path and the length from the head, and
// counts the bytes of the body.

import { createServer } from "node:net";
import { FAILS_ONE_IN, chunked, completion, events, unavailable } from "./stub-answers.mjs";

const stream = chunked(events());
let answers = completions();
let calls = 0; // since the answer was set

process.on("message", ({ kind, pauseMs }) => {
  if (kind === undefined) return process.send({ calls });
  answers = { completions, failures, burst, paced: () => paced(pauseMs), held }[kind]();
  calls = 0;
  return process.send({ kind });
});
process.on("disconnect", () => process.exit());

const server = createServer({ noDelay: true, highWaterMark: 1024 * 1024 }, (socket) => {
  const requests = new Requests((path) => {
    calls += 1;
    answers(socket, path);
  });
  socket.on("data", (data) => requests.read(data));
  socket.on("error", () => socket.destroy());
});
server.listen(0, "127.0.0.1", 4096, () => process.send({ port: server.address().port }));

function completions() {
  return (socket) => socket.write(completion);
}

/** The first target is called with OpenAI's paths. Azure's paths start with /openai. */
function failures() {
  let first = 0;
  return (socket, path) => {
    const fails = path.startsWith("/v1/") && first++ % FAILS_ONE_IN === 0;
    socket.write(fails ? unavailable : completion);
  };
}

/** Sends all events of a stream at once. */
function burst() {
  const whole = Buffer.concat([stream.head, ...stream.chunks, stream.end]);
  return (socket) => socket.write(whole);
}

/**
 * Sends a stream like a model, with a pause after each event. One timer serves all streams: timers
 * for each would be the bottleneck.
 */
function paced(pauseMs) {
  const open = new Map();
  const timer = setInterval(() => {
    for (const [socket, next] of open) {
      if (next < stream.chunks.length) {
        socket.write(stream.chunks[next]);
        open.set(socket, next + 1);
      } else {
        socket.write(stream.end);
        open.delete(socket);
      }
    }
    if (answers !== serve && open.size === 0) clearInterval(timer);
  }, pauseMs);
  const serve = (socket) => {
    socket.on("close", () => open.delete(socket));
    socket.write(stream.head);
    open.set(socket, 0);
  };
  return serve;
}

/** Sends the first events of a stream, and leaves the stream open. */
function held() {
  const beginning = Buffer.concat([stream.head, ...stream.chunks.slice(0, 10)]);
  return (socket) => socket.write(beginning);
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");
const NONE = Buffer.alloc(0);

/** The requests on one connection. */
class Requests {
  #onRequest;
  #rest = NONE; // of an incomplete head or chunk-size line
  #path;
  #skip = 0; // remaining bytes of a body
  #isChunked = false;
  #isLast = false; // whether the current chunk is the last one of a body

  constructor(onRequest) {
    this.#onRequest = onRequest;
  }

  read(data) {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = NONE;
    while (bytes.length > 0) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length);
        this.#skip -= skipped;
        bytes = bytes.subarray(skipped);
        if (this.#skip === 0 && (!this.#isChunked || this.#isLast)) this.#done();
        continue;
      }
      const mark = this.#isChunked ? LINE_END : HEAD_END;
      const end = bytes.indexOf(mark);
      if (end < 0) {
        this.#rest = bytes;
        return;
      }
      const line = bytes.latin1Slice(0, end);
      bytes = bytes.subarray(end + mark.length);
      if (this.#isChunked) this.#chunk(line);
      else this.#head(line);
    }
  }

  #head(head) {
    this.#path = head.slice(head.indexOf(" ") + 1, head.indexOf(" HTTP/1"));
    this.#isChunked = /\r\ntransfer-encoding: *chunked/i.test(head);
    if (this.#isChunked) return;
    this.#skip = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (this.#skip === 0) this.#done();
  }

  /** Skips the next chunk and the line end after it. The last chunk is only that line end. */
  #chunk(line) {
    const size = Number.parseInt(line, 16);
    this.#isLast = size === 0;
    this.#skip = size + LINE_END.length;
  }

  #done() {
    this.#isChunked = false;
    this.#isLast = false;
    this.#onRequest(this.#path);
  }
}
