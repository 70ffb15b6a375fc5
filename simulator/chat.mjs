// Chat completions and completions.
//
// The text of an answer names who served: `hello from eastus/gpt-4o-eastus`. A message `echo …` is repeated after it.

import { randomUUID } from "node:crypto";
import { instanceOf } from "./schema.mjs";

const SAFE = Object.fromEntries(
  ["hate", "self_harm", "sexual", "violence"].map((kind) => [kind, { filtered: false, severity: "safe" }]),
);
const PROMPT_FILTER = [{ prompt_index: 0, content_filter_results: SAFE }];

export function chatCompletions(body, who) {
  const call = toolCall(body, who);
  const text = call ? null : chatText(body, who);
  const usage = usageOf(JSON.stringify(body.messages ?? ""), text ?? call.function.arguments);
  return body.stream
    ? { events: chatEvents(body, who, { call, text, usage }) }
    : { json: chatObject(who, { call, text, usage }) };
}

function chatObject(who, { call, text, usage }) {
  const message = { role: "assistant", content: text, refusal: null, ...(call && { tool_calls: [call] }) };
  const choice = { index: 0, message, logprobs: null, finish_reason: call ? "tool_calls" : "stop" };
  return {
    ...head(who, "chatcmpl", "chat.completion"),
    choices: [{ ...choice, ...(who.azure && { content_filter_results: SAFE }) }],
    usage,
    ...(who.azure && { prompt_filter_results: PROMPT_FILTER }),
  };
}

function chatEvents(body, who, { call, text, usage }) {
  const wantsUsage = body.stream_options?.include_usage === true;
  const common = { ...head(who, "chatcmpl", "chat.completion.chunk"), ...(wantsUsage && { usage: null }) };
  const chunk = (delta, finish_reason = null) => ({
    data: {
      ...common,
      choices: [
        { index: 0, delta, logprobs: null, finish_reason, ...(who.azure && { content_filter_results: SAFE }) },
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
    ...promptFilterChunk(who),
    chunk({ role: "assistant", content: call ? null : "", refusal: null }),
    ...deltas,
    chunk({}, call ? "tool_calls" : "stop"),
    ...(wantsUsage ? [{ data: { ...common, choices: [], usage } }] : []),
    { data: "[DONE]" },
  ];
}

// Azure's first chunk has no choices: clients that read `choices[0]` trip over it.
function promptFilterChunk(who) {
  if (!who.azure) return [];
  return [{ data: { id: "", object: "", created: 0, model: "", choices: [], prompt_filter_results: PROMPT_FILTER } }];
}

export function completions(body, who) {
  const prompt = [body.prompt ?? ""].flat().join("");
  const text = greeting(who, prompt);
  const usage = usageOf(prompt, text);
  const common = head(who, "cmpl", "text_completion");
  const choice = (part, finish_reason) => ({ text: part, index: 0, logprobs: null, finish_reason });
  if (!body.stream) return { json: { ...common, choices: [choice(text, "stop")], usage } };
  return {
    events: [
      ...promptFilterChunk(who),
      ...pieces(text).map((piece) => ({ data: { ...common, choices: [choice(piece, null)] }, content: true })),
      { data: { ...common, choices: [choice("", "stop")] } },
      ...(body.stream_options?.include_usage ? [{ data: { ...common, choices: [], usage } }] : []),
      { data: "[DONE]" },
    ],
  };
}

// `hello from …`, and what the prompt asks to repeat.
export function greeting(who, prompt) {
  const echo = /^echo (.*)$/s.exec(prompt)?.[1];
  return `hello from ${who.label}${echo === undefined ? "" : `: ${echo}`}`;
}

// Which function to call and with what, or undefined where no tool is due. `tools` are in the form of chat completions.
export function chooseTool(tools, choice, who) {
  if (!tools?.length || choice === "none") return undefined;
  const named = choice?.function?.name ?? choice?.name;
  const tool = tools.find(({ function: { name } }) => name === named) ?? tools[0];
  return { name: tool.function.name, arguments: JSON.stringify(instanceOf(tool.function.parameters ?? {}, who.label)) };
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

// Text as a model would stream it: word by word.
export function pieces(text) {
  return text.match(/\S*\s+|\S+/g) ?? [""];
}

export function textOf(content) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

function toolCall(body, who) {
  if (body.messages?.at(-1)?.role === "tool") return undefined;
  const chosen = chooseTool(body.tools, body.tool_choice, who);
  return chosen && { id: `call_${randomUUID().replaceAll("-", "")}`, type: "function", function: chosen };
}

function chatText(body, who) {
  const format = body.response_format;
  if (format?.type === "json_schema") return JSON.stringify(instanceOf(format.json_schema.schema, greeting(who, "")));
  if (format?.type === "json_object") return JSON.stringify({ text: greeting(who, "") });
  return greeting(who, textOf(body.messages?.at(-1)?.content));
}

function head(who, prefix, object) {
  return {
    id: `${prefix}-${randomUUID().replaceAll("-", "")}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model: who.model,
    system_fingerprint: "fp_simulated",
  };
}

function tokens(text) {
  return Math.max(1, Math.ceil(text.length / 4));
}
