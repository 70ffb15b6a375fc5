// Plays the script of a drill against a running gateway, and measures what its clients see.

const LOOK_MS = 500;
/** How long the requests of a step may take after its end. */
const LATEST_MS = 120_000;

/**
 * Plays a script. `gateway`: its URL, the key of a client, and the admin token. `onProgress` gets
 * each line as it becomes known. `signal` ends the drill early. All faults are ended in any case.
 */
export async function play(script, gateway, { onProgress = () => {}, signal } = {}) {
  const drill = new Drill(script, gateway, onProgress, signal);
  try {
    await drill.begin();
    for (const step of script.steps) {
      if (signal?.aborted) break;
      await drill.step(step);
    }
  } finally {
    await drill.endAll();
  }
  return drill.report();
}

class Drill {
  #script;
  #gateway;
  #onProgress;
  #signal;
  #steps = [];
  /** Every fault that was set, with the times at which it began and ended, in milliseconds. */
  #faults = [];
  #looking;
  #isOver = false;

  constructor(script, gateway, onProgress, signal) {
    this.#script = script;
    this.#gateway = gateway;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  /** Checks the tokens and the names of the script before anything is done. */
  async begin() {
    const { deployments } = await this.#admin("GET", "/health");
    const known = deployments.map(({ deployment }) => deployment);
    for (const { do: kind, deployment } of this.#script.steps) {
      if (kind === "fault" && !known.includes(deployment)) {
        throw new Error(`the gateway has no deployment "${deployment}"; it has ${known.join(", ")}`);
      }
    }
    const { ok, error } = await this.#request();
    if (!ok) throw new Error(`a request before the drill fails, so it would show nothing: ${error}`);
    this.#looking = this.#look();
  }

  async step(step) {
    if (step.do === "wait") {
      this.#onProgress(`waiting for ${step.seconds} s`);
      await this.#pause(step.seconds * 1_000);
    } else if (step.do === "fault") {
      await this.#begin(step);
    } else if (step.do === "end") {
      await this.#end(step.deployment);
    } else {
      await this.#traffic(step);
    }
  }

  async #begin({ deployment, fault, share = 100, seconds = 60, why = `drill: ${this.#script.name}` }) {
    // Before the call: if its answer is lost, the fault is ended all the same.
    const entry = { deployment, fault, share, seconds, beganAt: Date.now(), endsAt: Infinity };
    this.#faults.push(entry);
    await this.#admin("POST", "/faults", { deployment, fault, share, seconds, why });
    const now = Date.now();
    Object.assign(entry, { beganAt: now, endsAt: now + seconds * 1_000 });
    const attempts = share === 100 ? "all attempts" : `${share} % of the attempts`;
    this.#onProgress(`fault: ${deployment} answers ${attempts} with ${fault}, for ${seconds} s`);
  }

  async #end(deployment) {
    await this.#admin("DELETE", `/faults/${encodeURIComponent(deployment)}`);
    const now = Date.now();
    for (const fault of this.#faults.filter((found) => found.deployment === deployment && found.endsAt > now)) {
      fault.endsAt = now;
    }
    this.#onProgress(`the fault of ${deployment} has ended`);
  }

  /** Ends all faults that may still be at work. Tries all of them before it fails. */
  async endAll() {
    this.#isOver = true;
    const active = new Set(this.#faults.filter(({ endsAt }) => endsAt > Date.now()).map(({ deployment }) => deployment));
    const ended = await Promise.allSettled([...active].map((deployment) => this.#end(deployment)));
    await this.#looking;
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed) throw new Error(`a fault could not be ended (it ends by itself): ${failed.reason.message}`);
  }

  /** Sends requests at an even rate, whether or not earlier ones were answered. */
  async #traffic({ name, seconds, per_second: rate, expect = {} }) {
    const beganAt = Date.now();
    const requests = [];
    const entry = { name, seconds, expect, requests: [], beganAt };
    this.#steps.push(entry);
    for (let count = 0; count < seconds * rate && !this.#signal?.aborted; count += 1) {
      await this.#pause(beganAt + (count * 1_000) / rate - Date.now());
      requests.push(this.#request().then((request) => entry.requests.push(request)));
      this.#onProgress(`${name}: ${requests.length} of ${Math.ceil(seconds * rate)} requests`, true);
    }
    await this.#pause(beganAt + seconds * 1_000 - Date.now());
    await Promise.all(requests);
    entry.endedAt = Date.now();
    this.#onProgress(sentence(entry));
  }

  async #request() {
    const { url, key } = this.#gateway;
    const { model, stream = false } = this.#script;
    const at = Date.now();
    const request = { at, ok: false, deployment: "", trail: "", error: "" };
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Say hi." }] }),
        signal: AbortSignal.timeout(LATEST_MS),
      });
      request.deployment = response.headers.get("x-switchyard-deployment") ?? "";
      request.trail = response.headers.get("x-switchyard-trail") ?? "";
      const text = await response.text();
      request.ok = response.ok && (!stream || text.includes("data: [DONE]"));
      if (!request.ok) request.error = response.ok ? "the stream broke off" : `${response.status} ${codeOf(text)}`;
    } catch (error) {
      request.error = error.name === "TimeoutError" ? `no answer within ${LATEST_MS / 1_000} s` : String(error.cause?.message ?? error.message);
    }
    request.ms = Date.now() - at;
    return request;
  }

  /** Looks at the health of the faulty deployments, and notes when one is ejected. */
  async #look() {
    while (!this.#isOver) {
      const now = Date.now();
      const open = this.#faults.filter((fault) => fault.ejectedAt === undefined && now < fault.endsAt);
      if (open.length > 0) {
        const health = await this.#admin("GET", "/health").catch(() => ({ deployments: [] }));
        for (const fault of open) {
          const found = health.deployments.find(({ deployment }) => deployment === fault.deployment);
          const states = [found?.isolate?.gate?.state, found?.object?.gate?.state];
          if (!states.some((state) => state === "open" || state === "probation")) continue;
          fault.ejectedAt = Date.now();
          this.#onProgress(`${fault.deployment} is ejected, ${took(fault.ejectedAt - fault.beganAt)} after its fault began`);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** What happened, and which expectations hold. */
  report() {
    const requests = this.#steps.flatMap((step) => step.requests);
    const faults = this.#faults.map((fault) => {
      const again = requests
        .filter(({ ok, deployment, at }) => ok && deployment === fault.deployment && at >= fault.endsAt)
        .map(({ at }) => at - fault.endsAt);
      return {
        deployment: fault.deployment,
        fault: fault.fault,
        share: fault.share,
        seconds: Math.round((Math.min(fault.endsAt, Date.now()) - fault.beganAt) / 1_000),
        ejected_after_ms: fault.ejectedAt === undefined ? null : fault.ejectedAt - fault.beganAt,
        served_again_after_ms: again.length > 0 ? Math.min(...again) : null,
      };
    });
    const steps = this.#steps.map((step) => ({ name: step.name, ...figures(step) }));
    const expectations = this.#steps.flatMap((step) => this.#checks(step));
    const isInterrupted = this.#signal?.aborted === true;
    const passed = !isInterrupted && expectations.every(({ holds }) => holds);
    return { name: this.#script.name, passed, interrupted: isInterrupted, steps, faults, expectations };
  }

  #checks(step) {
    const { name, expect, requests, beganAt, endedAt = Date.now() } = step;
    const { errors, p95_ms } = figures(step);
    const percent = requests.length === 0 ? 0 : (100 * errors) / requests.length;
    const checks = [];
    const add = (holds, text) => checks.push({ step: name, holds, text });
    if (expect.errors_at_most_percent !== undefined) {
      const most = expect.errors_at_most_percent;
      add(percent <= most, `at most ${most} % errors: ${errors} of ${requests.length} requests failed`);
    }
    if (expect.p95_at_most_ms !== undefined) {
      add(p95_ms !== null && p95_ms <= expect.p95_at_most_ms, `p95 at most ${expect.p95_at_most_ms} ms: it was ${p95_ms ?? "not known, as nothing was served"}`);
    }
    if (expect.served_by) {
      const others = [...new Set(requests.filter(({ ok }) => ok).map(({ deployment }) => deployment))].filter(
        (deployment) => !expect.served_by.includes(deployment),
      );
      const isServed = requests.some(({ ok }) => ok);
      const found = others.length > 0 ? others.map((other) => other || "one without a name").join(", ") + " served too" : isServed ? "nobody else served" : "nobody served";
      add(isServed && others.length === 0, `served by ${expect.served_by.join(", ")}: ${found}`);
    }
    for (const deployment of expect.ejected ?? []) {
      const isEjected = this.#faults.some(
        (fault) => fault.deployment === deployment && fault.ejectedAt >= beganAt - 1_000 && fault.ejectedAt <= endedAt,
      );
      add(isEjected, `${deployment} is ejected: ${isEjected ? "it was" : "it was not"}`);
    }
    for (const deployment of expect.serves_again ?? []) {
      const last = this.#faults.findLast((fault) => fault.deployment === deployment);
      const serves = requests.some((request) => request.ok && request.deployment === deployment && request.at >= last.endsAt);
      add(serves, `${deployment} serves again: ${serves ? "it does" : "it does not"}`);
    }
    return checks;
  }

  async #admin(method, path, body) {
    const { url, adminToken } = this.#gateway;
    let response;
    try {
      response = await fetch(`${url}/admin/api${path}`, {
        method,
        headers: { authorization: `Bearer ${adminToken}`, ...(body && { "content-type": "application/json" }) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(15_000),
      });
    } catch (error) {
      throw new Error(`${url} cannot be reached: ${error.cause?.message ?? error.message}`);
    }
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} /admin/api${path}: ${response.status}: ${messageOf(text)}`);
    return JSON.parse(text);
  }

  /** Waits, and ends early with the signal. */
  #pause(ms) {
    if (ms <= 0 || this.#signal?.aborted) return undefined;
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#signal?.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#signal?.addEventListener("abort", end);
    });
  }
}

/** The figures of a step. */
export function figures({ requests }) {
  const served = {};
  for (const { ok, deployment } of requests) if (ok) served[deployment || "?"] = (served[deployment || "?"] ?? 0) + 1;
  const errors = {};
  for (const { ok, error } of requests) if (!ok) errors[error] = (errors[error] ?? 0) + 1;
  const times = requests.filter(({ ok }) => ok).map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    requests: requests.length,
    errors: requests.length - times.length,
    errors_by_kind: errors,
    served_by: served,
    fallbacks: requests.filter(({ ok, trail }) => ok && trail.includes(", ")).length,
    p50_ms: percentile(times, 0.5),
    p95_ms: percentile(times, 0.95),
  };
}

/** The time that the part `share` of the sorted times does not exceed; null if there are none. */
export function percentile(sorted, share) {
  return sorted.length === 0 ? null : sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** A step of traffic in plain words. */
function sentence(step) {
  const { requests, errors, served_by, fallbacks, p50_ms, p95_ms } = figures(step);
  const servers = Object.entries(served_by).sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`);
  const parts = [
    `${step.name}: ${counted(requests, "request")}, ${errors === 0 ? "no errors" : counted(errors, "error")}`,
    servers.length > 0 ? `served by ${servers.join(", ")}` : "nothing was served",
  ];
  if (fallbacks > 0) parts.push(`${fallbacks} after a fallback`);
  if (p50_ms !== null) parts.push(`p50 ${p50_ms} ms, p95 ${p95_ms} ms`);
  return parts.join("; ");
}

/** The report in plain words, a line for each fact. */
export function words(report) {
  const lines = [];
  for (const { name, errors_by_kind } of report.steps) {
    for (const [error, count] of Object.entries(errors_by_kind)) lines.push(`  ${name}: ${counted(count, "time")} ${error}`);
  }
  const [first] = report.steps;
  for (const step of report.steps.slice(1)) {
    if (first.p50_ms === null || step.p50_ms === null) continue;
    lines.push(`  ${step.name}: p50 ${step.p50_ms} ms (${first.name}: ${first.p50_ms}), p95 ${step.p95_ms} ms (${first.name}: ${first.p95_ms})`);
  }
  for (const { deployment, ejected_after_ms, served_again_after_ms } of report.faults) {
    lines.push(`  ${deployment} was ${ejected_after_ms === null ? "not ejected" : `ejected after ${took(ejected_after_ms)}`}`);
    const again = served_again_after_ms === null ? "did not serve again" : `served again ${took(served_again_after_ms)} after the end of its fault`;
    lines.push(`  ${deployment} ${again}`);
  }
  for (const { step, holds, text } of report.expectations) lines.push(`  ${holds ? "ok    " : "FAILED"} ${step}: ${text}`);
  if (report.interrupted) lines.push("  The drill was interrupted. Its faults have ended.");
  return lines.join("\n");
}

const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const took = (ms) => `${(ms / 1_000).toFixed(1)} s`;

function messageOf(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text.slice(0, 200);
  }
}

function codeOf(text) {
  try {
    const { code, type } = JSON.parse(text).error;
    return code ?? type ?? "";
  } catch {
    return "";
  }
}
