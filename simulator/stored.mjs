// Stored responses of one account: https://platform.openai.com/docs/api-reference/responses/get
//
// Azure answers in the same words: https://learn.microsoft.com/azure/foundry/openai/how-to/responses

const PATH = /^responses\/([^/]+)(?:\/(cancel|input_items))?$/;
const NAMES = new Set(["input_tokens", "compact"]);

// The stored response that a path below `/v1/` is about: {id, part}, part undefined for the response itself.
export function storedAt(path) {
  const [, id, part] = PATH.exec(path ?? "") ?? [];
  return id === undefined || NAMES.has(id) ? undefined : { id, part };
}

export class Stored {
  #responses = new Map();

  clear() {
    this.#responses.clear();
  }

  // What is wrong with the earlier response that a request goes on from, if anything is.
  refusal({ previous_response_id: id }) {
    if (id === undefined || id === null || this.#responses.has(id)) return undefined;
    return refused(400, `Previous response with id '${id}' not found.`, "previous_response_id", "previous_response_not_found");
  }

  // Keeps what an answer to `responses` will be, unless the client says otherwise.
  keep(body, answer) {
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

  // Answers a call for a stored response; undefined for a method that it does not take.
  respond({ stored: { id, part }, method, url }) {
    const found = this.#responses.get(id);
    switch (`${method} ${part ?? ""}`) {
      case "GET ":
        return found ? again(found, url) : notFound(id);
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

// As JSON, or as the events after `starting_after`.
function again({ response, events }, url) {
  if (url.searchParams.get("stream") !== "true") return { json: response };
  if (!events) return refused(400, "This response was not created with stream=true.", "stream", null);
  const after = Number(url.searchParams.get("starting_after") ?? -1);
  return { events: events.filter(({ data }) => data.sequence_number > after) };
}

function cancel({ response }) {
  if (!response.background) return refused(400, "Cannot cancel a synchronous response.", null, null);
  response.status = "cancelled";
  return { json: response };
}

function notFound(id) {
  return refused(404, `Response with id '${id}' not found.`, null, null);
}

function refused(status, message, param, code) {
  return { status, json: { error: { message, type: "invalid_request_error", param, code } } };
}
