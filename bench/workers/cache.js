// Replaces the Cache API's store: workerd sends operations of a cache as HTTP requests to a service. A
// PUT has a whole HTTP response as its body. Nothing expires: a run is shorter than any entry lives.

const entries = new Map();
const HEAD_END = "\r\n\r\n";

const keyOf = (request) => `${request.headers.get("cf-cache-namespace")} ${request.url}`;

async function keep(request) {
  const bytes = new Uint8Array(await request.arrayBuffer());
  // Each byte becomes one character, so that positions are those of the bytes.
  const text = new TextDecoder("latin1").decode(bytes);
  const end = text.indexOf(HEAD_END);
  const type = /^content-type: *(.*)$/im.exec(text.slice(0, end))?.[1].trim() ?? "";
  const stated = /^x-switchyard-.*$/gim;
  const headers = Object.fromEntries(text.slice(0, end).match(stated)?.map((line) => line.split(/: */, 2)) ?? []);
  entries.set(keyOf(request), { body: bytes.slice(end + HEAD_END.length), headers: { ...headers, "content-type": type } });
  return new Response(null, { status: 204 });
}

export default {
  fetch(request) {
    if (request.method === "PUT") return keep(request);
    const entry = entries.get(keyOf(request));
    if (!entry) return new Response(null, { status: 504, headers: { "cf-cache-status": "MISS" } });
    return new Response(entry.body, { headers: { ...entry.headers, "cf-cache-status": "HIT" } });
  },
};
