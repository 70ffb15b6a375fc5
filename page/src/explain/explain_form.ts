// A request to explain, as it is typed, and what of it stands in the address.
//
// The address is passed on to colleagues and kept in histories, so no key is in it: neither the field
// of the key nor a header whose name says that its value may be secret.

import { isKeyHeader, type CurlRequest } from "./curl_command.ts";

export interface ExplainForm {
  method: string;
  path: string;
  /** The name of the client; empty if it comes with a key. */
  client: string;
  key: string;
  /** A header in each line. */
  headers: string;
  body: string;
  country: string;
  colo: string;
}

/** A longer body is not in the address: browsers and chats cut long ones. */
const LONGEST_BODY = 4_000;
const PATH = "/v1/chat/completions";
/** Members of a body that hold credentials, such as those of the tools of an MCP server. */
const SECRET_MEMBER = /"[^"]*(authorization|headers|cookie|password|secret|credential|api[_-]?key|access_token|auth_token)[^"]*"\s*:/i;
const SECRET = /key|token|secret|auth|cookie|passw|credential|signature|session|jwt/i;

export const emptyForm = (client: string, model: string): ExplainForm => ({
  method: "",
  path: PATH,
  client,
  key: "",
  headers: "",
  body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }, undefined, 2),
  country: "",
  colo: "",
});

/** The request for POST /admin/api/explain; a text says what is wrong. */
export function requestOf(form: ExplainForm): Record<string, unknown> | string {
  const headers: Record<string, string> = {};
  for (const line of form.headers.split("\n").filter((line) => line.trim() !== "")) {
    const at = line.indexOf(":");
    if (at <= 0) return `A header is written as "name: value". This is none: ${line.slice(0, 60)}`;
    headers[line.slice(0, at).trim().toLowerCase()] = line.slice(at + 1).trim();
  }
  if (!form.path.startsWith("/")) return 'The path begins with "/", such as /v1/chat/completions.';
  const place = { ...(form.country && { country: form.country }), ...(form.colo && { colo: form.colo }) };
  return {
    path: form.path,
    ...(form.method && { method: form.method }),
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(form.client ? { client: form.client } : form.key && { key: form.key }),
    ...(form.body.trim() !== "" && { body: parsed(form.body) }),
    ...(Object.keys(place).length > 0 && { place }),
  };
}

/** JSON is sent as JSON, any other body as the text that it is. */
function parsed(body: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    // A text that is JSON would be sent without its quotes.
    return typeof value === "string" ? body : value;
  } catch {
    return body;
  }
}

/** What stands in the address, and what was left out of it. */
export function queryOf(form: ExplainForm): { query: Record<string, string>; leftOut: string[] } {
  const leftOut: string[] = [];
  const lines = form.headers.split("\n").filter((line) => line.trim() !== "");
  const isOpen = (line: string) => {
    const name = line.split(":")[0]?.trim() ?? "";
    const isSecret = isKeyHeader(name) || SECRET.test(name);
    if (isSecret) leftOut.push(`the header ${name}`);
    return !isSecret;
  };
  const headers = lines.filter(isOpen).join("\n");
  const [path = "", search] = form.path.split(/\?(.*)/s);
  const open = new URLSearchParams(search ?? "");
  for (const name of [...open.keys()]) {
    if (SECRET.test(name)) {
      open.delete(name);
      leftOut.push(`the parameter ${name}`);
    }
  }
  if (!form.client && form.key) leftOut.push("the key");
  const isLong = form.body.length > LONGEST_BODY;
  const hasSecret = SECRET_MEMBER.test(form.body);
  if (isLong) leftOut.push("the body, because it is long");
  else if (hasSecret) leftOut.push("the body, because it has a member like a key");
  const query = {
    path: search === undefined ? path : open.size > 0 ? `${path}?${open}` : path,
    method: form.method,
    client: form.client,
    headers,
    body: isLong || hasSecret ? "" : form.body,
    country: form.country,
    colo: form.colo,
  };
  return { query: Object.fromEntries(Object.entries(query).filter(([, value]) => value !== "")), leftOut };
}

/** The form of an address; `undefined` if there is no request in it. */
export function formOf(query: URLSearchParams): ExplainForm | undefined {
  const path = query.get("path");
  if (!path) return undefined;
  const text = (name: string) => query.get(name) ?? "";
  return {
    method: text("method").toUpperCase(),
    path,
    client: text("client"),
    key: "",
    headers: text("headers"),
    body: text("body"),
    country: text("country"),
    colo: text("colo"),
  };
}

/** The form of a curl command. The client stays, unless the command has a key. */
export function formOfCurl(request: CurlRequest, before: ExplainForm): ExplainForm {
  return {
    ...before,
    method: request.method ?? "",
    path: request.path,
    client: request.key === undefined ? before.client : "",
    key: request.key ?? "",
    headers: request.headers.map(([name, value]) => `${name}: ${value}`).join("\n"),
    body: request.body ?? "",
  };
}

/** The model that a body names. */
export function modelOf(body: string): string | undefined {
  const value = parsed(body);
  const model = typeof value === "object" && value !== null ? (value as { model?: unknown }).model : undefined;
  return typeof model === "string" ? model : undefined;
}

/** The body with another model. What is no JSON object stays as it is. */
export function withModel(body: string, model: string): string {
  if (body.trim() === "") return JSON.stringify({ model }, undefined, 2);
  const value = parsed(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return body;
  return JSON.stringify({ ...value, model }, undefined, body.includes("\n") ? 2 : undefined);
}
