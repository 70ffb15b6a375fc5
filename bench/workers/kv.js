// Stands for the KV namespace of the gateway: workerd turns its operations into HTTP requests for a service. It has one key, and
// takes what is written without keeping it.

export default {
  fetch(request, env) {
    if (request.method !== "GET") return new Response();
    const key = new URL(request.url).pathname.slice(1);
    return key === "routes" ? new Response(env.DOCUMENT) : new Response(null, { status: 404 });
  },
};
