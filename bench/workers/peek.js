// The minimum of an LLM gateway in JavaScript: it reads the model, replaces the key and labels the
// answer.

export default {
  async fetch(request, env) {
    const body = await request.text();
    const { model } = JSON.parse(body);
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${env.UPSTREAM_KEY}`);
    const response = await fetch(env.UPSTREAM, { method: request.method, headers, body });
    const labelled = new Response(response.body, response);
    labelled.headers.set("x-peek-model", model);
    return labelled;
  },
};
