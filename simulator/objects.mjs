// The stored objects of one account: files, batches and vector stores, as documented in
// https://platform.openai.com/docs/api-reference/files, …/batch and …/vector-stores

import { randomUUID } from "node:crypto";

const KINDS = {
  __proto__: null, // names come from URLs
  files: { name: "file", prefix: "file-", notFound: (id) => `No such File object: ${id}`, param: "id" },
  batches: { name: "batch", prefix: "batch_", notFound: (id) => `No batch found with id '${id}'.` },
  vector_stores: { name: "vector_store", prefix: "vs_", notFound: (id) => `No vector store found with id '${id}'.` },
};

// Parses a path below `/v1/`: {kind, id, below}, undefined for a path that is not of a stored
// object.
export function objectAt(path = "") {
  const [kind, id, ...below] = path.split("/");
  return KINDS[kind] && { kind, id, below: below.join("/") };
}

export class Objects {
  #objects = new Map();

  clear() {
    this.#objects.clear();
  }

  // Answers a call. Returns undefined for a method or path that does not exist.
  respond(call) {
    const { kind, id, below } = call.object;
    const { name } = KINDS[kind];
    if (id === undefined) {
      if (call.method === "GET") return list([...this.#objects.values()].filter(({ object }) => object === name));
      return call.method === "POST" ? this.#make(kind, call.body ?? {}) : undefined;
    }
    const found = this.#objects.get(id);
    if (found?.object !== name) return notFound(kind, id);
    switch (`${call.method} ${kind}/${below}`) {
      case "GET files/":
      case "GET batches/":
      case "GET vector_stores/":
        return { json: publicFields(found) };
      case "GET files/content":
        return { relay: (response, headers) => sendFile(found.file_, response, headers) };
      case "DELETE files/":
      case "DELETE vector_stores/":
        this.#objects.delete(id);
        return { json: { id, object: kind === "files" ? name : `${name}.deleted`, deleted: true } };
      case "POST batches/cancel":
        found.status = "cancelling";
        return { json: publicFields(found) };
      case "GET vector_stores/files":
        return list(found.files_);
      case "POST vector_stores/files": {
        const { file_id } = call.body ?? {};
        if (!this.#objects.has(file_id)) return clientError(404, `Files [${file_id}] were not found`, null);
        found.files_.push({ id: file_id, object: "vector_store.file", vector_store_id: id, status: "completed" });
        return { json: found.files_.at(-1) };
      }
      default:
        return undefined;
    }
  }

  #make(kind, body) {
    const { name, prefix } = KINDS[kind];
    const object = { id: prefix + randomUUID().replaceAll("-", ""), object: name, created_at: Math.floor(Date.now() / 1000) };
    if (kind === "files") {
      if (!(body.file instanceof File)) return clientError(400, "'file' is a required property", "file");
      const { name: filename, size } = body.file;
      Object.assign(object, { bytes: size, filename, purpose: body.purpose, status: "processed", file_: body.file });
    } else if (kind === "batches") {
      const { input_file_id: id, endpoint, completion_window } = body;
      if (!this.#objects.has(id)) return notFound("files", id);
      Object.assign(object, { endpoint, errors: null, input_file_id: id, completion_window, status: "validating" });
    } else {
      const missing = (body.file_ids ?? []).filter((id) => !this.#objects.has(id));
      if (missing.length > 0) return clientError(404, `Files [${missing}] were not found`, null);
      Object.assign(object, { name: body.name ?? null, status: "completed", files_: [] });
    }
    this.#objects.set(object.id, object);
    return { json: publicFields(object) };
  }
}

async function sendFile(file, response, headers) {
  const bytes = Buffer.from(await file.arrayBuffer());
  response.writeHead(200, { ...headers, "content-type": "application/octet-stream", "content-length": bytes.length });
  response.end(bytes);
  return "finished";
}

// The public fields. Names of internal fields end in `_`.
function publicFields(object) {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !key.endsWith("_")));
}

function list(objects) {
  const data = objects.map(publicFields);
  return { json: { object: "list", data, first_id: data.at(0)?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: false } };
}

function notFound(kind, id) {
  const { notFound: message, param = null } = KINDS[kind];
  return clientError(404, message(id), param);
}

function clientError(status, message, param) {
  return { status, json: { error: { message, type: "invalid_request_error", param, code: null } } };
}
