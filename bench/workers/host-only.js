// What Switchyard asks the runtime for with each request, and no Switchyard: both sides' headers read, those of others taken out and its
// own laid over them, an answer that is whole before it goes on, a client that may leave, a call that can be ended, a limit of time.
// What it costs more than the peek Worker is the price of the contract; what Switchyard costs more than this is Rust, Wasm and the way
// into and out of it.

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
