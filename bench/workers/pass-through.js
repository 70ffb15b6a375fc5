// A minimal gateway: it passes everything on and reads nothing. It shows the limit of a Worker.

export default {
  fetch(request, env) {
    const { method, headers, body } = request;
    return fetch(env.UPSTREAM, { method, headers, body });
  },
};
