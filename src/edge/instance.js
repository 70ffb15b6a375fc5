// The Wasm instance, and what is called in it. Should it ever trap, its memory cannot be trusted: what it was doing is lost, and
// the next call finds a new instance.
//
// This is bundled with the code that wasm-bindgen generates (`./index.js`).

import * as wasm from "./index.js";

let traps = 0;

/** Tells instances apart: an object of Rust belongs to one. */
export const instance = () => traps;

/** Calls `run`, which calls Wasm. */
export function enter(run) {
  try {
    return run();
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) {
      console.error(`trapped: ${error.stack}`);
      traps += 1;
      wasm.__wbg_reset_state();
    }
    throw error;
  }
}

export const serve = (head, exchange) => enter(() => wasm.serve(head, exchange));
export const cancel = (task) => enter(() => wasm.cancel(task));
export const rang = (task) => enter(() => wasm.rang(task));
export const told = (wait, value) => enter(() => wasm.told(wait, value));
export const failed = (wait, error) => enter(() => wasm.failed(wait, error));
export const received = (wait, length, short) => enter(() => wasm.received(wait, length, short));
export const answered = (wait, status, headers, body) => enter(() => wasm.answered(wait, status, headers, body));
export { HealthObject } from "./index.js";
