// The Worker's entry, on top of the output of worker-build: `fetch` without its proxies, and the
// handling of a trap.
//
// After a trap, the memory of the Wasm and all of its running work are lost. The code that catches
// the trap reports it as an error event. Then all requests in flight fail at once, and the next
// call gets a new instance (wasm-bindgen's reinitialization).

import Worker, { DeploymentHealth, Ledger, Registry } from "../../build/index.js";

const isTrap = (error) => error instanceof WebAssembly.RuntimeError;
const inFlight = new Set();
const handled = new WeakSet();

addEventListener("error", ({ error }) => {
  if (!isTrap(error) || handled.has(error)) return;
  handled.add(error);
  const failing = [...inFlight];
  inFlight.clear();
  for (const { reject } of failing) reject(error);
  // Any call gets a new instance. It is made at once: until then, callbacks of the old instance would
  // run in the memory of the new one.
  Worker.prototype.start();
  for (const { onLost } of failing) onLost?.();
});

// A trap in a callback of the `worker` crate is a rejection that nobody handles.
addEventListener("unhandledrejection", ({ reason }) => {
  if (isTrap(reason) && !handled.has(reason)) reportError(reason);
});

/**
 * A promise with the result of `call`. When the Wasm traps, it is rejected, and `onLost` is called. A
 * request that the runtime ends (its limit of CPU time) stays in the set until the next
 * trap.
 */
function settling(call, onLost) {
  return new Promise((resolve, reject) => {
    const waiting = { reject, onLost };
    const ended = (settle) => (value) => {
      inFlight.delete(waiting);
      settle(value);
    };
    inFlight.add(waiting);
    try {
      call().then(ended(resolve), ended(reject));
    } catch (error) {
      if (isTrap(error)) reportError(error);
      ended(reject)(error);
    }
  });
}

/**
 * The log line of a request that is lost in a trap (docs/telemetry.md). What the gateway knew of it,
 * its id too, was in the memory of the Wasm.
 */
function logLost(request, arrivedAt) {
  const time = new Date(arrivedAt).toISOString();
  const ms = { total: Date.now() - arrivedAt };
  const ray = request.headers.get("cf-ray") ?? undefined;
  const outcome = { outcome: "internal_error", reason: "trap", status: 500 };
  console.log(JSON.stringify({ v: 1, event: "request", time, ...outcome, ms, cf_ray: ray }));
}

const { fetch } = Worker.prototype;
export default {
  fetch(request, env, ctx) {
    const arrivedAt = Date.now();
    return settling(() => fetch.call({ env, ctx }, request), () => logLost(request, arrivedAt));
  },
};

for (const [{ prototype: object }, ...names] of [
  [DeploymentHealth, "fetch", "alarm"],
  [Registry, "fetch", "alarm"],
  [Ledger, "fetch", "alarm"],
]) {
  for (const name of names) {
    const handle = object[name];
    object[name] = function (...values) {
      return settling(() => handle.apply(this, values));
    };
  }
}
export { DeploymentHealth, Ledger, Registry };
