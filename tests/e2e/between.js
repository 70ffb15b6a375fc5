// Stands between the built Worker and its bindings, as the main module of an isolate: counts what is asked of KV and of the
// Durable Object, and what crosses into and out of Wasm (boundary.js), and breaks the latter two on command. Commands come by
// `POST /between`, and its answer says what was counted.
//
// This runs in workerd. tests/e2e/gateway.mjs puts it beside the Worker's own modules.

import { boundary, trap } from "./boundary.js";
import Worker from "./index.js";

export { DeploymentHealth } from "./index.js";

// `object`: how the Durable Object answers: undefined (as it does), "hangs", "throws", {status, text} in its stead, or {fields} that
// are put into its own answers. `says`: the content-length that requests come with, as from a Worker in front that changed a body and
// not its headers. `trap`: the export of the Wasm that is to trap when it is called next.
const orders = { object: undefined, says: null };
const counted = { kv_reads: 0, reports: 0 };

export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname === "/between") {
      const { trap: next, ...others } = await request.json();
      Object.assign(orders, others);
      trap.next = next ?? trap.next;
      return Response.json({ ...counted, ...boundary });
    }
    const { ROUTES, HEALTH, ...rest } = env;
    const between = { ...rest, ROUTES: counting(ROUTES), ...(HEALTH && { HEALTH: breaking(HEALTH) }) };
    return Worker.fetch(saying(orders.says, request), between, context);
  },
};

function saying(length, request) {
  if (length === null) return request;
  const headers = new Headers(request.headers);
  headers.set("content-length", length);
  return new Request(request, { headers });
}

function counting(kv) {
  const get = (...given) => {
    counted.kv_reads += 1;
    return kv.get(...given);
  };
  return { get, getWithMetadata: kv.getWithMetadata.bind(kv), put: kv.put.bind(kv), list: kv.list.bind(kv), delete: kv.delete.bind(kv) };
}

// Still a DurableObjectNamespace to whoever asks for its constructor.
function breaking(namespace) {
  return new Proxy(namespace, {
    get(target, name) {
      const value = target[name];
      if (name !== "getByName") return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
      return (...named) => {
        const stub = target.getByName(...named);
        const isReport = (request) => new URL(request.url ?? request).pathname === "/report";
        return { fetch: (...given) => answer(() => stub.fetch(...given), isReport(given[0])) };
      };
    },
  });
}

async function answer(ask, isReport) {
  if (isReport) counted.reports += 1;
  const { object } = orders;
  if (object === "hangs") return new Promise(() => {});
  if (object === "throws") throw new Error("the object is overloaded");
  if (object?.status) return new Response(object.text, { status: object.status });
  const answered = await ask();
  return object?.fields && isReport ? Response.json({ ...(await answered.json()), ...object.fields }) : answered;
}
