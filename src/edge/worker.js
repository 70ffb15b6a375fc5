// The Worker's entry: the runtime calls it, and it calls Rust (`mod.rs`, `object.rs`).
//
// A plain object and one promise a request: the generated entry of workers-rs goes through several proxies and promises for each.

import { Exchange } from "./host.js";
import { HealthObject, cancel, enter, instance, serve } from "./instance.js";

/** Nobody sees this status but the log of the platform, where nginx has made it known. */
const CLIENT_LEFT = 499;

export default {
  fetch(request, env, context) {
    return new Promise((answer) => {
      const exchange = new Exchange(request, env, context, answer);
      const task = serve(exchange.head(), exchange);
      // The runtime forgets a request whose client has left, and ends nothing of it: what waits would wait for ever, and count as
      // in flight. Needs the compatibility flag `enable_request_signal`.
      request.signal.onabort = () => {
        cancel(task);
        answer(new Response(null, { status: CLIENT_LEFT }));
      };
    });
  },
};

/** The Durable Object. */
export class DeploymentHealth {
  #given;
  #object;
  #instance;

  constructor(state, env) {
    this.#given = [state, env];
  }

  fetch(request) {
    return enter(() => {
      if (this.#instance !== instance()) {
        this.#object = new HealthObject(...this.#given);
        this.#instance = instance();
      }
      return this.#object.fetch(request);
    });
  }
}
