// The stored responses of one account: https://platform.openai.com/docs/api-reference/responses/get
//
// Azure has the same answers: https://learn.microsoft.com/azure/foundry/openai/how-to/responses

const PATH = /^responses\/([^/]+)(?:\/(cancel|input_items))?$/;
const OPERATIONS = new Set(["input_tokens", "compact"]);

// Parses a path below `/v1/`: {id, part} of a stored response, where `part` is undefined for the
// response itself. Undefined for any other path.
export function storedAt(path) {
  const [, id, part] = PATH.exec(path ?? "") ?? [];
  return id === undefined || OPERATIONS.has(id) ? undefined : { id, part };
}

export class StoredResponses {
  #responses = new Map();

  clear() {
    this.#responses.clear();
  }

  // An error if `previous_response_id` is unknown; undefined otherwise.
  refusal({ previous_response_id: id }) {
    if (id === undefined || id === null || this.#responses.has(id)) return undefined;
    return clientError(400, `Previous response with id '${id}' not found.`, "previous_response_id", "previous_response_not_found");
  }

  // Stores the response of an answer to `responses`, unless the request has `store: false`. Returns
  // the answer.
  store(body, answer) {
    const response = answer.json ?? answer.events?.at(-1).data.response;
    if (body.store === false || response?.object !== "response") return answer;
    response.previous_response_id = body.previous_response_id ?? null;
    const content = [{ type: "input_text", text: String(body.input) }];
    const items = Array.isArray(body.input) ? body.input : [{ type: "message", role: "user", content }];
    const input = items.map((item, index) => ({ id: `msg_${response.id.slice(5)}${index}`, ...item }));
    const isWaiting = body.background === true;
    if (isWaiting) Object.assign(response, { background: true, status: "queued" });
    this.#responses.set(response.id, { response, input, events: answer.events });
    return answer;
  }

  // Answers a call for a stored response. Returns undefined for a method that is not allowed.
  respond({ stored: { id, part }, method, url }) {
    const found = this.#responses.get(id);
    switch (`${method} ${part ?? ""}`) {
      case "GET ":
        return found ? replay(found, url) : notFound(id);
      case "DELETE ":
        return this.#responses.delete(id) ? { json: { id, object: "response", deleted: true } } : notFound(id);
      case "POST cancel":
        return found ? cancel(found) : notFound(id);
      case "GET input_items": {
        if (!found) return notFound(id);
        const data = found.input;
        return { json: { object: "list", data, first_id: data[0].id, last_id: data.at(-1).id, has_more: false } };
      }
      default:
        return undefined;
    }
  }
}

// The response as JSON, or its events after `starting_after`.
function replay({ response, events }, url) {
  if (url.searchParams.get("stream") !== "true") return { json: response };
  if (!events) return clientError(400, "This response was not created with stream=true.", "stream", null);
  const after = Number(url.searchParams.get("starting_after") ?? -1);
  return { events: events.filter(({ data }) => data.sequence_number > after) };
}

function cancel({ response }) {
  if (!response.background) return clientError(400, "Cannot cancel a synchronous response.", null, null);
  response.status = "cancelled";
  return { json: response };
}

function notFound(id) {
  return clientError(404, `Response with id '${id}' not found.`, null, null);
}

function clientError(status, message, param, code) {
  return { status, json: { error: { message, type: "invalid_request_error", param, code } } };
}
