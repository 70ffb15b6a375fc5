// Counts what crosses the boundary between JavaScript and the Worker's Wasm, measures its memory, and breaks it on command.
// Imported before the Worker, which finds this constructor when it makes its instance.

// How many calls into Wasm are remembered.
const REMEMBERED = 100;

export const boundary = {
  into_wasm: 0,
  out_of_wasm: 0,
  instances: 0,
  // The names of the latest calls into Wasm.
  recent: [],
  get memory_bytes() {
    return memory?.buffer.byteLength;
  },
};

// What is to be called next is to trap: the name of an export.
export const trap = { next: undefined };

const { Instance } = WebAssembly;
let memory;

WebAssembly.Instance = function (module, imports) {
  boundary.instances += 1;
  const counted = Object.entries(imports).map(([name, of]) => [name, watched(of, () => (boundary.out_of_wasm += 1))]);
  const { exports } = new Instance(module, Object.fromEntries(counted));
  memory = exports.memory;
  return {
    exports: watched(exports, (name) => {
      boundary.into_wasm += 1;
      boundary.recent = [...boundary.recent.slice(1 - REMEMBERED), name];
      if (name !== trap.next) return;
      trap.next = undefined;
      throw new WebAssembly.RuntimeError("unreachable");
    }),
  };
};

function watched(functions, tell) {
  const each = ([name, it]) => {
    if (typeof it !== "function") return [name, it];
    return [name, (...given) => (tell(name), it(...given))];
  };
  return Object.fromEntries(Object.entries(functions).map(each));
}
