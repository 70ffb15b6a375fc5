// The record of the calls that an upstream received, in the order of arrival.
//
// `outcome` is "open" while the call runs. Then it is "finished", "aborted" (the caller left before
// the end) or "broken" (a fault ended the connection).

import { createHash } from "node:crypto";

const RECORDED_BODY_BYTES = 64 * 1024;

export class Calls {
  #records = [];
  #waiting = new Set();

  list() {
    return [...this.#records];
  }

  clear() {
    this.#records = [];
  }

  open(request) {
    const record = {
      time: new Date().toISOString(),
      method: request.method,
      url: request.url,
      headers: { ...request.headers },
      outcome: "open",
    };
    this.#records.push(record);
    this.#changed();
    return record;
  }

  received(record, body) {
    record.body_bytes = body.length;
    record.body_sha256 = createHash("sha256").update(body).digest("hex");
    if (body.length <= RECORDED_BODY_BYTES) record.body = body.toString("utf8");
    this.#changed();
  }

  close(record, outcome) {
    if (record.outcome !== "open") return;
    record.outcome = outcome;
    this.#changed();
  }

  // Resolves with the first record that satisfies `isWanted`: an existing one or a later one.
  seen(isWanted, timeoutMs = 5000) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const record = this.#records.find(isWanted);
        if (!record) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(record);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        const seen = this.#records.map((record) => `${record.method} ${record.url} ${record.outcome}`);
        reject(new Error(`no such call within ${timeoutMs} ms: ${isWanted}\nseen: ${seen.join("; ") || "nothing"}`));
      }, timeoutMs);
      this.#waiting.add(check);
      check();
    });
  }

  #changed() {
    for (const check of this.#waiting) check();
  }
}
