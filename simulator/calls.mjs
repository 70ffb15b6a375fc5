// What an upstream was asked: one record per call, kept in the order of arrival.
//
// `outcome` is "open" while the call runs, then "finished", "aborted" (the caller left first) or "broken" (a fault ended the
// connection).

import { createHash } from "node:crypto";

const KEPT_BODY_BYTES = 64 * 1024;

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
    if (body.length <= KEPT_BODY_BYTES) record.body = body.toString("utf8");
    this.#changed();
  }

  close(record, outcome) {
    if (record.outcome !== "open") return;
    record.outcome = outcome;
    this.#changed();
  }

  // Resolves with the first record that satisfies `isWanted`, now or later.
  seen(isWanted, timeoutMs = 5000) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const record = this.#records.find(isWanted);
        if (!record) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(record);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        const seen = this.#records.map((record) => `${record.method} ${record.url} ${record.outcome}`);
        reject(new Error(`no such call within ${timeoutMs} ms: ${isWanted}\nseen: ${seen.join("; ") || "nothing"}`));
      }, timeoutMs);
      this.#waiting.add(look);
      look();
    });
  }

  #changed() {
    for (const look of this.#waiting) look();
  }
}
