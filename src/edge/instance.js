// The Wasm instance, and what is called in it. Should it ever trap, its memory cannot be trusted: what it was doing is lost, and
// the next call finds a new instance.
//
// This is bundled with the code that wasm-bindgen generates (`./index.js`).

import * as wasm from "./index.js";

let traps = 0;

/** Tells instances apart: an object of Rust belongs to one. */
export const instance = () => traps;

export function serve(request, env, context, answer) {
  try {
    return wasm.serve(request, env, context, answer);
  } catch (error) {
    throw survived(error);
  }
}

export function cancel(task) {
  try {
    wasm.cancel(task);
  } catch (error) {
    throw survived(error);
  }
}

export function rang(task) {
  try {
    wasm.rang(task);
  } catch (error) {
    throw survived(error);
  }
}

export function told(wait, value) {
  try {
    wasm.told(wait, value);
  } catch (error) {
    throw survived(error);
  }
}

export function failed(wait, error) {
  try {
    wasm.failed(wait, error);
  } catch (error) {
    throw survived(error);
  }
}

/** Calls `run`, which calls Wasm. */
export function enter(run) {
  try {
    return run();
  } catch (error) {
    throw survived(error);
  }
}

function survived(error) {
  if (error instanceof WebAssembly.RuntimeError) {
    console.error(`trapped: ${error.stack}`);
    traps += 1;
    wasm.__wbg_reset_state();
  }
  return error;
}

export { HealthObject } from "./index.js";
