// Makes the same calls to the runtime as Switchyard for each request, without Switchyard: it reads
// the headers of both sides, removes and sets headers, reads the complete answer before it sends
// it, handles a client that leaves, and can abort the upstream call, with a time limit. Its cost
// above that of the peek Worker is the price of this behaviour. The cost of Switchyard above it is
// that of Rust, Wasm and the calls into and out of Wasm.

const LIMIT_MS = 600_000;
const WITHHELD = ["authorization", "accept-encoding", "content-length", "host", "sec-fetch-mode"];
const NOT_RETURNED = ["openai-organization", "openai-project", "set-cookie", "server", "cf-ray", "cf-cache-status"];
const OWN = { "x-request-id": "req_0123456789abcdef0123456789abcdef", "x-trail": "openai=200;412", "server-timing": "upstream;dur=412" };

export default {
  fetch(request, env) {
    return new Promise((answer) => serve(request, env).then(answer));
  },
};

async function serve(request, env) {
  const call = new AbortController();
  request.signal.onabort = () => call.abort();
  const asked = textOf(request.headers);
  const timer = setTimeout(() => call.abort(), LIMIT_MS);
  const body = new Uint8Array(await request.arrayBuffer());
  const headers = new Headers(request.headers);
  for (const name of WITHHELD) headers.delete(name);
  headers.set("authorization", `Bearer ${env.UPSTREAM_KEY}`);
  const { method } = request;
  const response = await fetch(env.UPSTREAM, { method, headers, body, redirect: "manual", signal: call.signal });
  const answered = textOf(response.headers);
  const whole = await response.arrayBuffer();
  clearTimeout(timer);
  const returned = new Response(whole, { status: response.status, headers: response.headers });
  for (const name of NOT_RETURNED) returned.headers.delete(name);
  for (const name in OWN) returned.headers.set(name, OWN[name]);
  returned.headers.set("x-read", String(asked.length + answered.length));
  return returned;
}

function textOf(headers) {
  let text = "";
  headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}
