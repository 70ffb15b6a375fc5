// The request of the clients: a chat completion as from the official SDK for Node, with a body of
// any size.

const SYSTEM =
  "You are the assistant of a bookshop. Answer in two or three short sentences, name titles and authors exactly, and say so when " +
  "you do not know. Never invent a book. Prices are in euros and include VAT. If somebody asks for an order, ask for its number first.";
const USER =
  "I have read Piranesi by Susanna Clarke and liked the quiet voice and the strange house. My sister prefers crime novels that play in " +
  "Scandinavia, without much blood. Which two books would you recommend to each of us, and are they in stock in your shop in Bremen?";

/**
 * The headers of openai-node 7.57.0 without `host`, `content-length` and `connection`, which the
 * load tool sets.
 */
export const headers = (key) => ({
  accept: "application/json",
  "user-agent": "OpenAI/JS 7.57.0",
  "x-stainless-retry-count": "0",
  "x-stainless-lang": "js",
  "x-stainless-package-version": "7.57.0",
  "x-stainless-os": "Linux",
  "x-stainless-arch": "x64",
  "x-stainless-runtime": "node",
  "x-stainless-runtime-version": "v24.21.0",
  authorization: `Bearer ${key}`,
  "content-type": "application/json",
  "accept-language": "*",
  "sec-fetch-mode": "cors",
  "accept-encoding": "gzip, deflate",
});

/** The maximum length of a message, as of one that contains a document. */
const MESSAGE = 16_384;

/**
 * A body of `bytes` bytes, at least 1 KB: two messages and the usual options. Messages before the
 * last one fill it up.
 */
export function body({ model, bytes = 1024, stream = false }) {
  const request = (filling) =>
    JSON.stringify({
      model,
      messages: [{ role: "system", content: SYSTEM }, ...filling, { role: "user", content: USER }],
      temperature: 0.7,
      max_completion_tokens: 512,
      user: "customer-4711",
      ...(stream && { stream: true, stream_options: { include_usage: true } }),
    });
  const empty = `${JSON.stringify({ role: "assistant", content: "" })},`.length;
  const filling = [];
  for (let left = bytes - request([]).length; left > empty;) {
    const content = USER.repeat(Math.ceil(MESSAGE / USER.length)).slice(0, Math.min(MESSAGE, left - empty));
    filling.push({ role: "assistant", content });
    left -= empty + content.length;
  }
  return request(filling);
}
