// The answers of the stub, as bytes to send: a chat completion of about 1 KB, a stream of 1,000
// events, and a 503. The headers are those of OpenAI's API.

export const CHUNKS = 1_000;
/**
 * One call in this many fails, if the first target is to fail: never two in a row, and less than
 * the half that ejects a deployment.
 */
export const FAILS_ONE_IN = 3;
/** Part of every answer, so that a wrong answer is detected. */
export const MARK = "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT";

const TEXT =
  "For you: The Starless Sea by Erin Morgenstern, and The Memory Police by Yoko Ogawa. For your sister: The Ice Princess by Camilla " +
  "Läckberg, and Faceless Killers by Henning Mankell. All four are in stock in Bremen; the first costs 14.00 euros, the second 13.00.";

const common = {
  date: "Wed, 25 Nov 2026 12:00:00 GMT",
  connection: "keep-alive",
  "access-control-expose-headers": "X-Request-ID",
  "openai-organization": "org-bookshop",
  "openai-processing-ms": "412",
  "openai-project": "proj_7Yd0x2kqLwQbW1f3",
  "openai-version": "2020-10-01",
  "x-envoy-upstream-service-time": "417",
  "x-ratelimit-limit-requests": "10000",
  "x-ratelimit-limit-tokens": "30000000",
  "x-ratelimit-remaining-requests": "9999",
  "x-ratelimit-remaining-tokens": "29999680",
  "x-ratelimit-reset-requests": "6ms",
  "x-ratelimit-reset-tokens": "0s",
  "x-request-id": "req_6f1d3a0c2b7e4f9d8a5c1e0b9d7f3a21",
  "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
  "cf-cache-status": "DYNAMIC",
  "set-cookie": "__cf_bm=Jm9s2hX0vTq; path=/; domain=.api.openai.com; HttpOnly; Secure; SameSite=None",
  "x-content-type-options": "nosniff",
  server: "cloudflare",
  "cf-ray": "8f1c2d3e4b5a6978-TXL",
};

function head(status, headers) {
  const lines = Object.entries({ ...common, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join("")}\r\n`;
}

function whole(status, body) {
  const bytes = Buffer.from(JSON.stringify(body, null, 2));
  return Buffer.concat([
    Buffer.from(head(status, { "content-type": "application/json", "content-length": bytes.length })),
    bytes,
  ]);
}

const named = { id: MARK, created: 1_764_072_000, model: "gpt-4o-2024-08-06" };
const usage = {
  prompt_tokens: 214,
  completion_tokens: 84,
  total_tokens: 298,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: 0,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
};

export const completion = whole("200 OK", {
  ...named,
  object: "chat.completion",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: TEXT, refusal: null, annotations: [] },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage,
  service_tier: "default",
  system_fingerprint: "fp_07871e2ad8",
});

export const unavailable = whole("503 Service Unavailable", {
  error: {
    message: "The server is overloaded. Please try again.",
    type: "server_error",
    param: null,
    code: "service_unavailable",
  },
});

/**
 * The number of events of a stream: CHUNKS with a word each, then the finish, the usage and the
 * end.
 */
export const EVENTS = CHUNKS + 3;

/** The events of a stream. */
export function events() {
  const event = (choices, more) =>
    `data: ${JSON.stringify({
      ...named,
      object: "chat.completion.chunk",
      service_tier: "default",
      system_fingerprint: "fp_07871e2ad8",
      choices,
      ...more,
    })}\n\n`;
  const delta = (part, finish_reason = null) => [{ index: 0, delta: part, logprobs: null, finish_reason }];
  const words = TEXT.split(" ");
  const content = Array.from({ length: CHUNKS }, (_, index) => ` ${words[index % words.length]}`);
  return [
    event(delta({ role: "assistant", content: content[0], refusal: null }), { usage: null }),
    ...content.slice(1).map((word) => event(delta({ content: word }), { usage: null })),
    event(delta({}, "stop"), { usage: null }),
    event([], { usage }),
    "data: [DONE]\n\n",
  ];
}

/** A stream on the wire: each event is one HTTP chunk. */
export function chunked(list) {
  const chunks = list.map((event) => {
    const bytes = Buffer.from(event);
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);
  });
  const headers = { "content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked" };
  return { head: Buffer.from(head("200 OK", headers)), chunks, end: Buffer.from("0\r\n\r\n") };
}
