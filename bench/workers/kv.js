// Replaces the KV namespace of the gateway: workerd sends KV operations as HTTP requests to a
// service. It has one key, and discards written values.

export default {
  fetch(request, env) {
    if (request.method !== "GET") return new Response();
    const key = new URL(request.url).pathname.slice(1);
    return key === "routes" ? new Response(env.DOCUMENT) : new Response(null, { status: 404 });
  },
};
