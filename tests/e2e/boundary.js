// Counts calls between JavaScript and the Worker's Wasm, measures the memory of the Wasm, and makes
// calls trap on command.
//
// This module replaces `WebAssembly.Instance`. It must be imported before the Worker, which creates
// its instance with that constructor.

// The length of `boundary.recent`.
const RECENT_CALLS = 100;

export const boundary = {
  into_wasm: 0,
  out_of_wasm: 0,
  instances: 0,
  // The names of the latest exports that were called, oldest first.
  recent: [],
  get memory_bytes() {
    return memory?.buffer.byteLength;
  },
};

// `next`: the name of the export whose next call traps.
export const trap = { next: undefined };

const { Instance } = WebAssembly;
let memory;

WebAssembly.Instance = function (module, imports) {
  boundary.instances += 1;
  const wrapped = Object.entries(imports).map(([name, functions]) => [name, wrap(functions, () => (boundary.out_of_wasm += 1))]);
  const { exports } = new Instance(module, Object.fromEntries(wrapped));
  memory = exports.memory;
  return {
    exports: wrap(exports, (name) => {
      boundary.into_wasm += 1;
      boundary.recent = [...boundary.recent.slice(1 - RECENT_CALLS), name];
      if (name !== trap.next) return;
      trap.next = undefined;
      throw new WebAssembly.RuntimeError("unreachable");
    }),
  };
};

// The same members, with `onCall(name)` before each call of a function.
function wrap(members, onCall) {
  const wrapMember = ([name, member]) => {
    if (typeof member !== "function") return [name, member];
    return [name, (...args) => (onCall(name), member(...args))];
  };
  return Object.fromEntries(Object.entries(members).map(wrapMember));
}
