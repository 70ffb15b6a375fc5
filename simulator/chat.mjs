// Chat completions and completions.
//
// The text of an answer names its source: `hello from eastus/gpt-4o-eastus`. If the last message is
// `echo …`, the text after `echo` follows.

import { randomUUID } from "node:crypto";
import { instanceOf } from "./schema.mjs";

const SAFE = Object.fromEntries(
  ["hate", "self_harm", "sexual", "violence"].map((kind) => [kind, { filtered: false, severity: "safe" }]),
);
const PROMPT_FILTER = [{ prompt_index: 0, content_filter_results: SAFE }];

export function chatCompletions(body, source) {
  const call = toolCall(body, source);
  const text = call ? null : chatText(body, source);
  const usage = usageOf(JSON.stringify(body.messages ?? ""), text ?? call.function.arguments);
  return body.stream
    ? { events: chatEvents(body, source, { call, text, usage }) }
    : { json: chatObject(source, { call, text, usage }) };
}

function chatObject(source, { call, text, usage }) {
  const message = { role: "assistant", content: text, refusal: null, ...(call && { tool_calls: [call] }) };
  const choice = { index: 0, message, logprobs: null, finish_reason: call ? "tool_calls" : "stop" };
  return {
    ...head(source, "chatcmpl", "chat.completion"),
    choices: [{ ...choice, ...(source.azure && { content_filter_results: SAFE }) }],
    usage,
    ...(source.azure && { prompt_filter_results: PROMPT_FILTER }),
  };
}

function chatEvents(body, source, { call, text, usage }) {
  const wantsUsage = body.stream_options?.include_usage === true;
  const common = { ...head(source, "chatcmpl", "chat.completion.chunk"), ...(wantsUsage && { usage: null }) };
  const chunk = (delta, finish_reason = null) => ({
    data: {
      ...common,
      choices: [
        { index: 0, delta, logprobs: null, finish_reason, ...(source.azure && { content_filter_results: SAFE }) },
      ],
    },
  });
  const content = (delta) => ({ ...chunk(delta), content: true });
  const deltas = call
    ? [
        content({
          tool_calls: [{ index: 0, id: call.id, type: "function", function: { name: call.function.name, arguments: "" } }],
        }),
        ...pieces(call.function.arguments).map((piece) =>
          content({ tool_calls: [{ index: 0, function: { arguments: piece } }] }),
        ),
      ]
    : pieces(text).map((piece) => content({ content: piece }));
  return [
    ...promptFilterChunk(source),
    chunk({ role: "assistant", content: call ? null : "", refusal: null }),
    ...deltas,
    chunk({}, call ? "tool_calls" : "stop"),
    ...(wantsUsage ? [{ data: { ...common, choices: [], usage } }] : []),
    { data: "[DONE]" },
  ];
}

// The first chunk of Azure has no choices. Clients that read `choices[0]` fail on it.
function promptFilterChunk(source) {
  if (!source.azure) return [];
  return [{ data: { id: "", object: "", created: 0, model: "", choices: [], prompt_filter_results: PROMPT_FILTER } }];
}

export function completions(body, source) {
  const prompt = [body.prompt ?? ""].flat().join("");
  const text = greeting(source, prompt);
  const usage = usageOf(prompt, text);
  const common = head(source, "cmpl", "text_completion");
  const choice = (part, finish_reason) => ({ text: part, index: 0, logprobs: null, finish_reason });
  if (!body.stream) return { json: { ...common, choices: [choice(text, "stop")], usage } };
  return {
    events: [
      ...promptFilterChunk(source),
      ...pieces(text).map((piece) => ({ data: { ...common, choices: [choice(piece, null)] }, content: true })),
      { data: { ...common, choices: [choice("", "stop")] } },
      ...(body.stream_options?.include_usage ? [{ data: { ...common, choices: [], usage } }] : []),
      { data: "[DONE]" },
    ],
  };
}

// `hello from …`, and the text after `echo` in the prompt.
export function greeting(source, prompt) {
  const echo = /^echo (.*)$/s.exec(prompt)?.[1];
  return `hello from ${source.label}${echo === undefined ? "" : `: ${echo}`}`;
}

// The function to call and its arguments; undefined if no tool is to be called. `tools` have the
// form of chat completions.
export function chooseTool(tools, choice, source) {
  if (!tools?.length || choice === "none") return undefined;
  const named = choice?.function?.name ?? choice?.name;
  const tool = tools.find(({ function: { name } }) => name === named) ?? tools[0];
  return { name: tool.function.name, arguments: JSON.stringify(instanceOf(tool.function.parameters ?? {}, source.label)) };
}

export function usageOf(prompt, completion) {
  const [prompt_tokens, completion_tokens] = [tokens(prompt), tokens(completion)];
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

// Splits a text into words, as a model streams it.
export function pieces(text) {
  return text.match(/\S*\s+|\S+/g) ?? [""];
}

export function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

function toolCall(body, source) {
  if (body.messages?.at(-1)?.role === "tool") return undefined;
  const chosen = chooseTool(body.tools, body.tool_choice, source);
  return chosen && { id: `call_${randomUUID().replaceAll("-", "")}`, type: "function", function: chosen };
}

function chatText(body, source) {
  const format = body.response_format;
  if (format?.type === "json_schema") return JSON.stringify(instanceOf(format.json_schema.schema, greeting(source, "")));
  if (format?.type === "json_object") return JSON.stringify({ text: greeting(source, "") });
  return greeting(source, textOf(body.messages?.at(-1)?.content));
}

function head(source, prefix, object) {
  return {
    id: `${prefix}-${randomUUID().replaceAll("-", "")}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model: source.model,
    system_fingerprint: "fp_simulated",
  };
}

function tokens(text) {
  return Math.max(1, Math.ceil(text.length / 4));
}
