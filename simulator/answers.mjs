// The answers of a healthy upstream, by operation.
//
// An answer is `{json}`, `{text}`, `{bytes, type}` or `{events}`.
// An event is `{data, event?, content?}`; `content` is true for events with output of the model.

import { chatCompletions, completions, greeting, pieces } from "./chat.mjs";
import { responses } from "./responses.mjs";

// Each operation is a function of (body, source) that returns an answer. `body` has the fields of
// the request; those of multipart bodies are strings and `File`s. `source` is what answers:
// {label, model, azure}, with a label such as `eastus/gpt-4o-eastus`.
export const OPERATIONS = {
  __proto__: null, // names come from URLs
  "chat/completions": chatCompletions,
  completions,
  embeddings,
  responses,
  moderations,
  "images/generations": image,
  "images/edits": image,
  "images/variations": image,
  "audio/speech": speech,
  "audio/transcriptions": transcription,
  "audio/translations": transcription,
};

export const MULTIPART = new Set([
  "images/edits",
  "images/variations",
  "audio/transcriptions",
  "audio/translations",
  "files",
]);

export function models(names) {
  const data = names.map((id) => ({ id, object: "model", created: 1700000000, owned_by: "simulator" }));
  return { json: { object: "list", data } };
}

function embeddings(body, source) {
  const inputs = typeof body.input === "string" || typeof body.input?.[0] === "number" ? [body.input] : body.input ?? [];
  const data = inputs.map((input, index) => {
    const vector = vectorOf(JSON.stringify(input), body.dimensions ?? 8);
    const embedding = body.encoding_format === "base64" ? Buffer.from(vector.buffer).toString("base64") : [...vector];
    return { object: "embedding", index, embedding };
  });
  const prompt_tokens = Math.max(1, Math.ceil(JSON.stringify(inputs).length / 4));
  return { json: { object: "list", data, model: source.label, usage: { prompt_tokens, total_tokens: prompt_tokens } } };
}

// Equal texts get equal vectors. Their length is 1.
function vectorOf(text, dimensions) {
  const vector = new Float32Array(dimensions);
  for (let index = 0; index < text.length; index += 1) vector[index % dimensions] += text.charCodeAt(index);
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function moderations(body, source) {
  const categories = ["harassment", "hate", "self-harm", "sexual", "violence"];
  const all = (value) => Object.fromEntries(categories.map((category) => [category, value]));
  const results = [body.input]
    .flat()
    .map(() => ({
      flagged: false,
      categories: all(false),
      category_scores: all(0.0001),
      category_applied_input_types: all(["text"]),
    }));
  return { json: { id: "modr-simulated", model: source.label, results } };
}

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function image(body, source) {
  const received = [body.image].flat().filter((part) => part instanceof File);
  const uploads = received.map((file) => `, ${file.name} ${file.size} bytes`).join("");
  const input_tokens_details = { text_tokens: 10, image_tokens: 0 };
  const usage = { input_tokens: 10, output_tokens: 20, total_tokens: 30, input_tokens_details };
  const data = [{ b64_json: PIXEL, revised_prompt: `${greeting(source, "")}${uploads}` }];
  return { json: { created: Math.floor(Date.now() / 1000), data, usage } };
}

// An ID3 header that names the source, and bytes that change if they are decoded as text.
function speech(_body, source) {
  const noise = Buffer.from(Array.from({ length: 1024 }, (_, index) => (index * 89) % 256));
  const bytes = Buffer.concat([Buffer.from(`ID3\u0004\u0000${greeting(source, "")}\u0000`, "latin1"), noise]);
  return { bytes, type: "audio/mpeg" };
}

function transcription(body, source) {
  const file = body.file instanceof File ? body.file : undefined;
  const text = `${greeting(source, "")}, ${file?.name ?? "no file"} ${file?.size ?? 0} bytes`;
  if (body.stream === "true") {
    const deltas = pieces(text).map((delta) => ({ type: "transcript.text.delta", delta }));
    const events = [...deltas, { type: "transcript.text.done", text }];
    return { events: events.map((event) => ({ event: event.type, data: event, content: true })) };
  }
  switch (body.response_format) {
    case "text":
      return { text: `${text}\n` };
    case "verbose_json":
      return { json: { task: "transcribe", language: "english", duration: 1, text, segments: [], words: [] } };
    default:
      return { json: { text, usage: { type: "duration", seconds: 1 } } };
  }
}
