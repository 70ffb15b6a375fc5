// The upstream simulator: one OpenAI account, two Azure regions, and an AI Gateway in front of
// them. Each listens on its own port of 127.0.0.1, records every call and can be given faults.
// `main.mjs` runs it as a program; `faults.mjs` lists the faults.

import { aiGateway } from "./ai-gateway.mjs";
import { azure } from "./azure.mjs";
import { startControl } from "./control.mjs";
import { openai } from "./openai.mjs";
import { Upstream } from "./upstream.mjs";

export const KEYS = {
  openai: "sk-simulated-openai",
  eastus: "simulated-eastus-key",
  westeurope: "simulated-westeurope-key",
  aiGateway: "simulated-ai-gateway-token",
};

// `ports`: {openai, eastus, westeurope, aiGateway, control}; the system chooses those that are
// missing. `lenient`: every model, deployment and api-version is accepted.
export async function startSimulator({ ports = {}, lenient = false, random = Math.random, now = Date.now } = {}) {
  const upstreams = {};
  // An Azure resource belongs to the region that its name contains.
  const dialects = {
    openai: openai({ name: "openai", key: KEYS.openai, lenient }),
    eastus: azure({ name: "eastus", displayName: "East US", key: KEYS.eastus, lenient }),
    westeurope: azure({ name: "westeurope", displayName: "West Europe", key: KEYS.westeurope, lenient }),
    aiGateway: aiGateway({
      token: KEYS.aiGateway,
      openaiUrl: () => upstreams.openai.url,
      azureUrl: (resource) => upstreams[["eastus", "westeurope"].find((region) => resource.includes(region))]?.url,
    }),
  };
  for (const [name, dialect] of Object.entries(dialects)) {
    upstreams[name] = new Upstream(dialect, { random, now });
    await upstreams[name].open(ports[name]);
  }
  const control = await startControl(upstreams, ports.control);

  return {
    // `endpoint` is the value for a routes document.
    openai: { url: upstreams.openai.url, endpoint: `${upstreams.openai.url}/v1`, key: KEYS.openai },
    eastus: { url: upstreams.eastus.url, endpoint: upstreams.eastus.url, key: KEYS.eastus },
    westeurope: { url: upstreams.westeurope.url, endpoint: upstreams.westeurope.url, key: KEYS.westeurope },
    aiGateway: { url: upstreams.aiGateway.url, endpoint: upstreams.aiGateway.url, key: KEYS.aiGateway },
    control: { url: control.url },

    // Adds a fault: `fault("openai", {fault: "rate_limit", times: 1})`. Resolves when it takes
    // effect.
    fault: (name, spec) => upstreams[name].fault(spec),
    // Removes all faults of an upstream.
    clearFaults: (name) => upstreams[name].clearFaults(),
    // Returns the recorded calls of an upstream.
    calls: (name) => upstreams[name].calls.list(),
    // Resolves with the first call that satisfies the predicate: an existing one or a later one.
    seen: (name, isWanted, timeoutMs) => upstreams[name].calls.seen(isWanted, timeoutMs),
    // Removes all faults, recorded calls, stored responses and stored objects.
    async reset() {
      for (const upstream of Object.values(upstreams)) {
        await upstream.clearFaults();
        upstream.calls.clear();
        upstream.forget();
      }
    },
    async close() {
      await Promise.all([control.close(), ...Object.values(upstreams).map((upstream) => upstream.close())]);
    },
  };
}
