// A client for streams that records when each event arrives; load tools only see complete
// responses. It uses sockets and a minimum of HTTP, so that its cost is small compared with what it
// measures.

import { connect } from "node:net";

const EVENT = "data: ";
const HEAD_END = "\r\n\r\n";
const BODY_END = "\r\n0\r\n\r\n";

/** One connection, which requests one stream after the other. */
export class StreamConnection {
  #socket;
  #request;
  #onData = () => {};
  #onClose = () => {};

  constructor({ url, headers, body }) {
    const { hostname, port, pathname } = new URL(url);
    const all = { host: `${hostname}:${port}`, ...headers, "content-length": Buffer.byteLength(body) };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#request = `POST ${pathname} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (data) => this.#onData(data));
    this.#socket.on("error", (error) => this.#onClose(error));
    this.#socket.on("close", () => this.#onClose(new Error("the connection was closed in mid-stream")));
  }

  /** Resolves when the first event has arrived. The stream stays open. */
  begin() {
    return this.#send(({ arrivals }) => arrivals.length > 0);
  }

  /** Resolves at the end of the stream. */
  whole() {
    return this.#send(({ tail }) => tail.endsWith(BODY_END));
  }

  /** Resolves with the milliseconds from the request to each event, and to the end. */
  #send(isDone) {
    return new Promise((resolve, reject) => {
      const seen = { arrivals: [], tail: "", ms: 0 };
      let head = "";
      let isBody = false;
      const sentAt = performance.now();
      this.#onClose = reject;
      this.#onData = (data) => {
        seen.ms = performance.now() - sentAt;
        if (isBody) return body(data);
        head += data;
        const end = head.indexOf(HEAD_END);
        if (end < 0) return undefined;
        if (!head.startsWith("HTTP/1.1 200"))
          return reject(new Error(`the answer is no stream: ${head.slice(0, 500)}`));
        isBody = true;
        return body(head.slice(end + HEAD_END.length));
      };
      const body = (data) => {
        // Joins the end of the last read with this one, to find an event's beginning that the read
        // has cut. The end is shorter than such a beginning: no event is counted twice.
        const text = seen.tail + data;
        let next = 0;
        for (let at = text.indexOf(EVENT); at >= 0; at = text.indexOf(EVENT, next)) {
          seen.arrivals.push(seen.ms);
          next = at + EVENT.length;
        }
        seen.tail = text.slice(Math.max(next, text.length - BODY_END.length));
        if (!isDone(seen)) return;
        this.#onData = () => {};
        this.#onClose = () => {};
        resolve({ arrivals: seen.arrivals, ms: seen.ms });
      };
      this.#socket.write(this.#request);
    });
  }

  close() {
    this.#onClose = () => {};
    this.#socket.destroy();
  }
}
