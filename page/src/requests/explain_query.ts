// A recorded request as the view "Explain" takes it: its path, its client and place, and a body of
// its form.
//
// Pure. The record has nothing of what the client wrote, so texts are placeholders. What depends on
// the length or the content of the input may come out differently.

import type { RequestRecord } from "./request_record.ts";

const TEXT = "Hello";

/** The required members of a body beside `model`, by operation. Others have no such JSON body. */
const BODIES: Record<string, Record<string, unknown>> = {
  "chat/completions": { messages: [{ role: "user", content: TEXT }] },
  completions: { prompt: TEXT },
  embeddings: { input: TEXT },
  responses: { input: TEXT },
  "responses/input_tokens": { input: TEXT },
  "responses/compact": { input: TEXT },
  moderations: { input: TEXT },
  "images/generations": { prompt: TEXT },
  "audio/speech": { input: TEXT, voice: "alloy" },
};

/** The query of the address; `undefined` if a request like this cannot be written down. */
export function explainQueryOf(record: RequestRecord): Record<string, string> | undefined {
  const members = BODIES[record.operation ?? ""];
  if (!members || !record.model) return undefined;
  const body = { model: record.model, ...(record.stream && { stream: true }), ...members };
  return {
    path: `/v1/${record.operation}`,
    ...(record.client && { client: record.client }),
    ...(record.country && { country: record.country }),
    ...(record.colo && { colo: record.colo }),
    body: JSON.stringify(body, undefined, 2),
  };
}
