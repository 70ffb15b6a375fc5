// The dialect of OpenAI: `https://api.openai.com/v1/{operation}`, `Authorization: Bearer`.

import { randomUUID } from "node:crypto";
import { models, OPERATIONS } from "./answers.mjs";
import { openaiError } from "./errors.mjs";
import { objectAt, Objects } from "./objects.mjs";
import { StoredResponses, storedAt } from "./stored.mjs";

const MODELS = [
  "gpt-4o",
  "gpt-4o-mini",
  "gpt-4.1",
  "gpt-4.1-mini",
  "gpt-3.5-turbo-instruct",
  "text-embedding-3-small",
  "text-embedding-3-large",
  "omni-moderation-latest",
  "gpt-image-1",
  "tts-1",
  "whisper-1",
];

export function openai({ name, key, lenient }) {
  const responses = new StoredResponses();
  const objects = new Objects();
  const error = (kind, call) => openaiError(kind, { operation: call.operation, model: call.body?.model });

  function locate(url) {
    const path = /^\/v1\/(.+)$/.exec(url.pathname)?.[1];
    const stored = storedAt(path);
    if (stored) return { operation: "responses/{id}", stored };
    const object = objectAt(path);
    if (object) return { operation: object.kind, object };
    return { operation: path === "models" || OPERATIONS[path] ? path : undefined };
  }

  function respond(call) {
    if (call.headers.authorization !== `Bearer ${key}`) return error("bad_key", call);
    if (call.operation === "models" && call.method === "GET") return models(MODELS);
    if (call.stored) return responses.respond(call) ?? error("unknown_url", call);
    if (call.object) return objects.respond(call) ?? error("unknown_url", call);
    if (call.method !== "POST" || !OPERATIONS[call.operation]) return error("unknown_url", call);
    if (!call.body) return unreadable();
    const { model } = call.body;
    if (!lenient && !MODELS.includes(model)) return error("deployment_not_found", call);
    const source = { label: `${name}/${model}`, model, azure: false };
    return responses.refusal(call.body) ?? responses.store(call.body, OPERATIONS[call.operation](call.body, source));
  }

  const forget = () => [responses, objects].forEach((store) => store.clear());
  return { locate, respond, error, headers, forget };
}

function unreadable() {
  const message =
    "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.";
  return { status: 400, json: { error: { message, type: "invalid_request_error", param: null, code: null } } };
}

// https://developers.openai.com/api/docs/guides/rate-limits
function headers() {
  return {
    "x-request-id": `req_${randomUUID().replaceAll("-", "")}`,
    "openai-organization": "org-simulated",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-limit-tokens": "2000000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-remaining-tokens": "1999990",
    "x-ratelimit-reset-requests": "6ms",
    "x-ratelimit-reset-tokens": "0s",
  };
}
