// The least that a gateway can do: everything passes, nothing is looked at. The limit of what a Worker can reach.

export default {
  fetch(request, env) {
    const { method, headers, body } = request;
    return fetch(env.UPSTREAM, { method, headers, body });
  },
};
