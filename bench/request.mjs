// What clients send: a chat completion as the official SDK for Node makes it, with a body of any size.

const SYSTEM =
  "You are the assistant of a bookshop. Answer in two or three short sentences, name titles and authors exactly, and say so when " +
  "you do not know. Never invent a book. Prices are in euros and include VAT. If somebody asks for an order, ask for its number first.";
const USER =
  "I have read Piranesi by Susanna Clarke and liked the quiet voice and the strange house. My sister prefers crime novels that play in " +
  "Scandinavia, without much blood. Which two books would you recommend to each of us, and are they in stock in your shop in Bremen?";

/** The headers of openai-node 7.57.0, but for `host` and `content-length`, and for `connection`, which is the load tool's affair. */
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

/** A body of about that many bytes: 1 KB is two messages and the usual options, more is a longer conversation. */
export function body({ model, bytes = 1024, stream = false }) {
  const messages = [{ role: "system", content: SYSTEM }];
  const request = {
    model,
    messages,
    temperature: 0.7,
    max_completion_tokens: 512,
    user: "customer-4711",
    ...(stream && { stream: true, stream_options: { include_usage: true } }),
  };
  const room = () => bytes - Buffer.byteLength(JSON.stringify(request)) - '{"role":"user","content":""},'.length;
  // Messages of up to 16 KB, as in a long conversation with documents in it.
  const passage = `${USER}\n`.repeat(1 + Math.floor(16_384 / USER.length)).slice(0, 16_384);
  let left = room();
  const more = [];
  while (left > 0) {
    const role = more.length % 2 === 0 ? "user" : "assistant";
    const content = left < 16_384 && more.length === 0 ? `${USER}\n${USER}`.slice(0, left) : passage.slice(0, left);
    more.push({ role, content });
    left -= Buffer.byteLength(JSON.stringify(more.at(-1))) + 1;
  }
  messages.push(...more);
  return JSON.stringify(request);
}
