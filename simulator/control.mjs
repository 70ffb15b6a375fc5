// The control port: sets faults and returns recorded calls over HTTP.

import { createServer } from "node:http";
import { once } from "node:events";
import { describeFaults } from "./faults.mjs";

export async function startControl(upstreams, port = 0) {
  const server = createServer((request, response) => answer(upstreams, request, response));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(upstreams, request, response) {
  const url = new URL(request.url, "http://control");
  try {
    const chosen = choose(upstreams, url.searchParams.get("upstream"));
    const route = `${request.method} ${url.pathname}`;
    const [status, body] = await handle(route, { upstreams, chosen, request });
    const isText = typeof body === "string";
    response.writeHead(status, { "content-type": isText ? "text/plain; charset=utf-8" : "application/json" });
    response.end(isText ? body : `${JSON.stringify(body, null, 2)}\n`);
  } catch (error) {
    response.writeHead(400, { "content-type": "application/json" });
    response.end(`${JSON.stringify({ error: error.message })}\n`);
  }
}

async function handle(route, { upstreams, chosen, request }) {
  switch (route) {
    case "GET /":
      return [200, help(upstreams)];
    case "GET /faults":
      return [200, Object.fromEntries(chosen.map(([name, upstream]) => [name, upstream.faults()]))];
    case "POST /faults": {
      const { upstream, ...spec } = JSON.parse(Buffer.concat(await request.toArray()));
      const [[name, target]] = choose(upstreams, upstream ?? "");
      await target.fault(spec);
      return [201, { upstream: name, ...spec }];
    }
    case "DELETE /faults":
      await Promise.all(chosen.map(([, upstream]) => upstream.clearFaults()));
      return [200, { cleared: chosen.map(([name]) => name) }];
    case "GET /calls":
      return [200, Object.fromEntries(chosen.map(([name, upstream]) => [name, upstream.calls.list()]))];
    case "DELETE /calls":
      for (const [, upstream] of chosen) upstream.calls.clear();
      return [200, { cleared: chosen.map(([name]) => name) }];
    default:
      return [404, { error: `no ${route}; GET / shows the help` }];
  }
}

// The upstream of that name as [[name, upstream]]; all of them if the name is null.
function choose(upstreams, name) {
  if (name === null) return Object.entries(upstreams);
  if (!upstreams[name]) throw new TypeError(`unknown upstream "${name}"; known: ${Object.keys(upstreams).join(", ")}`);
  return [[name, upstreams[name]]];
}

function help(upstreams) {
  return `Upstreams: ${Object.keys(upstreams).join(", ")}

POST   /faults           {"upstream": "openai", "fault": …, "times"?: n, "for_ms"?: n, "probability"?: 0..1,
                          "when"?: {"operation"?: "chat/completions", "stream"?: true, "contains"?: "part of the body"}}
GET    /faults?upstream=  DELETE /faults?upstream=   (all upstreams without the query)
GET    /calls?upstream=   DELETE /calls?upstream=

A fault is the name of an error, or an object with any of these keys:

${describeFaults()}
`;
}
