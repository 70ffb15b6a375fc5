// The dialect of Azure OpenAI: dated and v1 paths, `api-key` or `Authorization: Bearer`.
// https://learn.microsoft.com/azure/foundry/openai/reference
// https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle

import { randomUUID } from "node:crypto";
import { models, OPERATIONS } from "./answers.mjs";
import { azureError } from "./errors.mjs";
import { objectAt, Objects } from "./objects.mjs";
import { StoredResponses, storedAt } from "./stored.mjs";

const DATED = /^20\d\d-\d\d-\d\d(-preview)?$/;
const OLDEST = "2022-12-01";
const NEWEST = "2025-04-01-preview";
const FIRST_WITH_RESPONSES = "2025-03-01-preview";
const NOT_ON_AZURE = new Set(["moderations"]);

// Base names of deployments, and the model of each. A region appends its name: `gpt-4o-eastus`.
const MODELS = {
  "gpt-4o": "gpt-4o-2024-11-20",
  "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
  "gpt-4.1": "gpt-4.1-2025-04-14",
  "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
  "gpt-35-turbo-instruct": "gpt-35-turbo-instruct",
  "text-embedding-3-small": "text-embedding-3-small",
  "text-embedding-3-large": "text-embedding-3-large",
  "gpt-image-1": "gpt-image-1",
  "tts-1": "tts-1",
  "whisper-1": "whisper-1",
};

export function azure({ name, displayName, key, lenient }) {
  const deployments = Object.fromEntries(Object.entries(MODELS).map(([base, model]) => [`${base}-${name}`, model]));
  const responses = new StoredResponses();
  const objects = new Objects();
  const error = (kind, call) => azureError(kind, call);

  function respond(call) {
    const bearer = /^Bearer (.+)$/.exec(call.headers.authorization ?? "")?.[1];
    const given = call.headers["api-key"] ?? bearer;
    if (given === undefined) return error("bad_token", call);
    if (given !== key) return error("bad_key", call);
    if (call.operation === undefined || !(lenient || versionServes(call))) return error("unknown_url", call);
    if (call.operation === "models" && call.method === "GET") return models(Object.keys(deployments));
    if (call.stored) return responses.respond(call) ?? error("unknown_url", call);
    if (call.object) return objects.respond(call) ?? error("unknown_url", call);
    if (call.method !== "POST" || !OPERATIONS[call.operation]) return error("unknown_url", call);
    if (!call.body) return unreadable();
    const deployment = call.deployment ?? call.body.model;
    if (!lenient && !Object.hasOwn(deployments, deployment)) return error("deployment_not_found", call);
    const source = { label: `${name}/${deployment}`, model: deployments[deployment] ?? deployment, azure: true };
    return responses.refusal(call.body) ?? responses.store(call.body, OPERATIONS[call.operation](call.body, source));
  }

  function headers(call) {
    const id = randomUUID();
    const deployment = call.deployment ?? call.body?.model;
    return {
      "apim-request-id": id,
      "x-request-id": id,
      "x-ms-client-request-id": call.headers["x-ms-client-request-id"] ?? id,
      "x-ms-region": displayName,
      "x-ms-rai-invoked": "true",
      ...(deployment && { "x-ms-deployment-name": encodeURIComponent(deployment) }),
      "azureml-model-session": "d089-20240815073451",
      "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
      "x-ratelimit-limit-requests": "600",
      "x-ratelimit-limit-tokens": "100000",
      "x-ratelimit-remaining-requests": "599",
      "x-ratelimit-remaining-tokens": "99990",
      "x-ratelimit-reset-requests": "1",
      "x-ratelimit-reset-tokens": "60",
    };
  }

  const forget = () => [responses, objects].forEach((store) => store.clear());
  return { locate, respond, error, headers, forget };
}

function locate(url) {
  const version = url.searchParams.get("api-version") ?? undefined;
  const deployed = /^\/openai\/deployments\/([^/]+)\/(.+)$/.exec(url.pathname);
  if (deployed) {
    return { ...operationAt(deployed[2]), deployment: decodeURIComponent(deployed[1]), apiVersion: version, form: "deployment" };
  }
  const v1 = /^\/openai\/v1\/(.+)$/.exec(url.pathname);
  if (v1) return { ...operationAt(v1[1]), apiVersion: version, form: "v1" };
  const plain = /^\/openai\/(.+)$/.exec(url.pathname);
  return { ...operationAt(plain?.[1]), apiVersion: version, form: "plain" };
}

function operationAt(path) {
  const stored = storedAt(path);
  if (stored) return { operation: "responses/{id}", stored };
  const object = objectAt(path);
  if (object) return { operation: object.kind, object };
  return { operation: !NOT_ON_AZURE.has(path) && (path === "models" || OPERATIONS[path]) ? path : undefined };
}

// Whether this form of path and this `api-version` serve the operation. Dated paths need a known
// `api-version`. All operations on dated paths but `responses`, `models` and stored objects need a
// deployment in the path.
function versionServes({ form, operation, object, apiVersion }) {
  if (form === "v1") return [undefined, "v1", "preview", "latest"].includes(apiVersion);
  if (!apiVersion || !DATED.test(apiVersion) || apiVersion < OLDEST || apiVersion > NEWEST) return false;
  const isResponses = operation?.startsWith("responses");
  if (object) return form === "plain";
  if (form === "deployment") return !isResponses && operation !== "models";
  return operation === "models" || (isResponses && apiVersion >= FIRST_WITH_RESPONSES);
}

function unreadable() {
  return { status: 400, json: { error: { code: "BadRequest", message: "Unsupported data type" } } };
}
