// The main module of an isolate in tests: wraps the built Worker and intercepts its bindings.
//
// It counts reads of KV, reports to the Durable Object, and calls into and out of Wasm
// (boundary.js). On command it is the dataset of Analytics Engine. On command it makes the Durable Object fail or a call into Wasm trap. Commands are
// the JSON body of `POST /intercept`; the response has the counts.
//
// This module runs in workerd. gateway.mjs adds it to the modules of the Worker.

import { boundary, trap } from "./boundary.js";
import Worker from "./index.js";

export { DeploymentHealth, Ledger } from "./index.js";

// - `object`: how the Durable Object answers: "hangs", "throws", {status, text} for that response,
//   or {fields} to overwrite in its own responses. Null or undefined: it answers normally.
// - `content_length`: the content-length header of requests. It can differ from the length of the
//   body, as it does when a Worker in front changes a body and keeps the headers. Null: unchanged.
// - `metrics`: whether there is a binding METRICS. The response then has the points so far.
// - `trap`: the name of the Wasm export whose next call traps.
const commands = { object: undefined, content_length: null, metrics: false };
const counts = { kv_reads: 0, reports: 0 };
const points = [];
const METRICS = { writeDataPoint: (point) => void points.push(point) };

export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname === "/intercept") {
      const { trap: next, ...others } = await request.json();
      Object.assign(commands, others);
      trap.next = next ?? trap.next;
      return Response.json({ ...counts, ...boundary, ...(commands.metrics && { points }) });
    }
    const { ROUTES, HEALTH, ...rest } = env;
    const intercepted = { ...rest, ROUTES: interceptKv(ROUTES), ...(HEALTH && { HEALTH: interceptObjects(HEALTH) }), ...(commands.metrics && { METRICS }) };
    return Worker.fetch(withContentLength(commands.content_length, request), intercepted, context);
  },
};

function withContentLength(length, request) {
  if (length === null) return request;
  const headers = new Headers(request.headers);
  headers.set("content-length", length);
  return new Request(request, { headers });
}

function interceptKv(kv) {
  const counted = (name) => (...args) => {
    counts.kv_reads += 1;
    return kv[name](...args);
  };
  const [get, getWithMetadata] = [counted("get"), counted("getWithMetadata")];
  return { get, getWithMetadata, put: kv.put.bind(kv), list: kv.list.bind(kv), delete: kv.delete.bind(kv) };
}

// A proxy, so that the constructor of the result is still DurableObjectNamespace.
function interceptObjects(namespace) {
  return new Proxy(namespace, {
    get(target, name) {
      const value = target[name];
      if (name !== "getByName") return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
      return (...args) => {
        const stub = target.getByName(...args);
        const isReport = (request) => new URL(request.url ?? request).pathname === "/report";
        return { fetch: (...args) => answer(() => stub.fetch(...args), isReport(args[0])) };
      };
    },
  });
}

async function answer(callObject, isReport) {
  if (isReport) counts.reports += 1;
  const { object } = commands;
  if (object === "hangs") return new Promise(() => {});
  if (object === "throws") throw new Error("the object is overloaded");
  if (object?.status) return new Response(object.text, { status: object.status });
  const response = await callObject();
  return object?.fields && isReport ? Response.json({ ...(await response.json()), ...object.fields }) : response;
}
