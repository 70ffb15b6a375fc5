// The dialect of Cloudflare AI Gateway: it checks its own token and forwards to a provider.
// https://developers.cloudflare.com/ai-gateway/usage/providers/openai/ and …/azureopenai/

import { randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { openaiError } from "./errors.mjs";

const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "host", "content-length"];

// `openaiUrl()` and `azureUrl(resource)` return the origin of the upstream to forward to.
// `azureUrl` returns undefined for an unknown resource.
export function aiGateway({ token, openaiUrl, azureUrl }) {
  function locate(url) {
    const path = /^\/v1\/[^/]+\/[^/]+\/(.+)$/.exec(url.pathname)?.[1] ?? "";
    const openaiMatch = /^openai\/(?:v1\/)?(.+)$/.exec(path);
    if (openaiMatch) return { operation: openaiMatch[1], target: `${openaiUrl()}/v1/${openaiMatch[1]}${url.search}` };
    const azureMatch = /^azure-openai\/([^/]+)\/([^/]+)\/(.+)$/.exec(path);
    if (!azureMatch) return {};
    const [, resource, deployment, operation] = azureMatch;
    const origin = azureUrl(resource);
    const target = origin && `${origin}/openai/deployments/${deployment}/${operation}${url.search}`;
    return { operation, deployment, target };
  }

  function respond(call, signal) {
    if (call.headers["cf-aig-authorization"] !== `Bearer ${token}`) return failure(401, 2009, "Unauthorized");
    if (!call.target) return failure(400, 2008, "Invalid provider");
    return { relay: (response, headers) => relay(call, response, headers, signal) };
  }

  function headers() {
    return { "cf-aig-log-id": randomUUID(), "cf-aig-step": "0", "cf-aig-cache-status": "MISS" };
  }

  return { locate, respond, headers, error: (name, call) => openaiError(name, call) };
}

function failure(status, code, message) {
  return { status, json: { success: false, result: [], messages: [], error: [{ code, message }] } };
}

function relay(call, response, headers, signal) {
  const forwarded = Object.entries(call.headers).filter(
    ([name]) => !HOP_BY_HOP.includes(name) && !name.startsWith("cf-aig-"),
  );
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(call.target, { method: call.method, headers: Object.fromEntries(forwarded), signal });
    outgoing.on("response", (incoming) => {
      response.writeHead(incoming.statusCode, { ...incoming.headers, ...headers });
      incoming.on("error", () => response.destroy());
      incoming.on("end", () => resolve("finished"));
      incoming.pipe(response);
    });
    outgoing.on("error", reject);
    outgoing.end(call.raw);
  });
}
