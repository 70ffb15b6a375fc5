// The way from the runtime back into Wasm (`host.rs`, `wait.rs`): how waits end, what becomes of a
// trap, tasks and timers.
//
// Every wait is a number. It ends with one call of one closure, which Wasm passes to `connect` at its
// start.

const FAILED = -1;

const unconnected = () => false;
let settle = unconnected;
let filter;

/**
 * Called by a new instance of the Wasm. `closure(wait, code, text, bytes)` returns whether that
 * wait exists. `passing(wait, piece, hasEnded)` returns the bytes that pass instead of a piece of the
 * pipe with that wait; undefined: the piece as it is.
 */
export function connect(closure, passing) {
  settle = closure;
  filter = passing;
  // The trap of an earlier instance no longer matters. This state belongs to the `worker` crate.
  globalThis.__worker_init_state.criticalError = false;
}

/** Ends a wait with its result. Returns whether the wait exists. */
export function endWait(wait, code, text, bytes) {
  try {
    return settle(wait, code, text, bytes);
  } catch (error) {
    trapped(error);
    return false;
  }
}

export function failWait(wait, error) {
  return endWait(wait, FAILED, String(error?.message ?? error), undefined);
}

/** Calls `forget` after a trap: what this instance has begun is lost. */
export function onTrap(forget) {
  addEventListener("error", ({ error }) => {
    if (isTrap(error)) forget();
  });
}

const isTrap = (error) => error instanceof WebAssembly.RuntimeError;

/** Reports a trap as an error event. This module and the entry listen for it. */
function trapped(error) {
  if (!isTrap(error)) throw error;
  reportError(error);
}

// After a trap that instance is not called any more.
onTrap(() => {
  settle = unconnected;
  filter = undefined;
  taskQueue = undefined;
});

/** The filter of pipes of this instance. */
export const currentFilter = () => filter;

/** What passes of a piece of the pipe with this wait, undefined: the piece as it is. */
export function filtered(wait, piece, hasEnded) {
  try {
    return filter(wait, piece, hasEnded);
  } catch (error) {
    trapped(error);
    throw error;
  }
}

// The tasks of wasm-bindgen-futures run in microtasks. The runtime's own `queueMicrotask` costs
// several times as much as a resolved promise (docs/benchmarks.md), and a trap in it cannot be
// caught.
export const resolved = Promise.resolve();
let taskQueue;
globalThis.queueMicrotask = (run) => {
  if (taskQueue?.run !== run) taskQueue = guarded(run);
  resolved.then(taskQueue.step);
};

/** `run` with its traps reported. It does nothing after a trap. */
function guarded(run) {
  const queue = {
    run,
    step() {
      if (queue !== taskQueue) return;
      try {
        run();
      } catch (error) {
        trapped(error);
      }
    },
  };
  return queue;
}

/** The longest time of a timer of the runtime, in milliseconds. */
const LONGEST_TIMER = 10_000;

/**
 * The times for which a request or an object waits, on one timer of the runtime. To start and stop
 * one costs 3 % of a request of JSON. So a request keeps it while nothing waits: as it rings after
 * ten seconds at most, the next wait rarely needs an earlier one.
 */
export class Timers {
  #rings = new Map();
  #timer;
  #due = Infinity;
  isKept = false;

  /** Ends the wait at this time, in milliseconds since 1970. */
  arm(wait, at) {
    this.ringAt(wait, at, () => endWait(wait, 0, undefined, undefined));
  }

  disarm(wait) {
    this.#rings.delete(wait);
    this.stopIfIdle();
  }

  /** Calls `ring` at this time, unless `disarm` is called with the key before. */
  ringAt(key, at, ring) {
    this.#rings.set(key, { at, ring });
    if (at < this.#due) this.#start(at);
  }

  stopIfIdle() {
    if (this.isKept || this.#rings.size > 0) return;
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  #start(at) {
    clearTimeout(this.#timer);
    const now = Date.now();
    this.#due = Math.min(at, now + LONGEST_TIMER);
    this.#timer = setTimeout(() => this.#elapsed(), this.#due - now);
  }

  #elapsed() {
    this.#due = Infinity;
    const now = Date.now();
    let next = Infinity;
    for (const [key, { at, ring }] of this.#rings) {
      if (at > now) {
        next = Math.min(next, at);
      } else {
        this.#rings.delete(key);
        ring();
      }
    }
    if (next < this.#due) this.#start(next);
  }
}
