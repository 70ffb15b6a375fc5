// The Responses API: https://platform.openai.com/docs/api-reference/responses

import { randomUUID } from "node:crypto";
import { chooseTool, greeting, pieces, textOf, usageOf } from "./chat.mjs";
import { instanceOf } from "./schema.mjs";

export function responses(body, source) {
  const item = outputItem(body, source);
  const response = responseObject(body, source, item);
  return body.stream ? { events: responseEvents(response, item) } : { json: response };
}

function outputItem(body, source) {
  const last = Array.isArray(body.input) ? body.input.at(-1) : { content: body.input };
  // The Responses API has a tool's name and parameters at the top; chat completions have them one
  // level down.
  const tools = body.tools?.filter(({ type }) => type === "function").map((tool) => ({ function: tool }));
  const call = last?.type === "function_call_output" ? undefined : chooseTool(tools, body.tool_choice, source);
  if (call) return { id: id("fc"), type: "function_call", status: "completed", call_id: id("call"), ...call };
  const format = body.text?.format;
  const text =
    format?.type === "json_schema"
      ? JSON.stringify(instanceOf(format.schema, greeting(source, "")))
      : greeting(source, textOf(last?.content));
  const content = [{ type: "output_text", text, annotations: [], logprobs: [] }];
  return { id: id("msg"), type: "message", status: "completed", role: "assistant", content };
}

function responseObject(body, source, item) {
  const usage = usageOf(JSON.stringify(body.input ?? ""), item.arguments ?? item.content[0].text);
  return {
    id: id("resp"),
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    status: "completed",
    background: false,
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: null,
    model: source.model,
    output: [item],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: body.store ?? true,
    temperature: 1,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: 1,
    truncation: "disabled",
    usage: {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
    user: null,
    metadata: {},
    ...(source.azure && { content_filters: [{ blocked: false, source_type: "prompt", content_filter_results: {} }] }),
  };
}

function responseEvents(response, item) {
  const running = { ...response, status: "in_progress", output: [], usage: null };
  const events = [
    { type: "response.created", response: running },
    { type: "response.in_progress", response: running },
    ...(item.type === "message" ? messageEvents(item) : callEvents(item)),
    { type: "response.output_item.done", output_index: 0, item },
    { type: "response.completed", response },
  ];
  return events.map((event, sequence_number) => ({
    event: event.type,
    data: { ...event, sequence_number },
    content: event.type.endsWith(".delta"),
  }));
}

function messageEvents(item) {
  const at = { item_id: item.id, output_index: 0, content_index: 0 };
  const [part] = item.content;
  return [
    { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress", content: [] } },
    { type: "response.content_part.added", ...at, part: { ...part, text: "" } },
    ...pieces(part.text).map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
    { type: "response.output_text.done", ...at, text: part.text, logprobs: [] },
    { type: "response.content_part.done", ...at, part },
  ];
}

function callEvents(item) {
  const at = { item_id: item.id, output_index: 0 };
  return [
    { type: "response.output_item.added", output_index: 0, item: { ...item, status: "in_progress", arguments: "" } },
    ...pieces(item.arguments).map((delta) => ({ type: "response.function_call_arguments.delta", ...at, delta })),
    { type: "response.function_call_arguments.done", ...at, name: item.name, arguments: item.arguments },
  ];
}

function id(prefix) {
  return `${prefix}_${randomUUID().replaceAll("-", "")}`;
}
