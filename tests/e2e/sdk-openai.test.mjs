// OpenAI's SDK, with only the base URL and the key changed.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { AzureOpenAI, OpenAI, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { APP_KEY, HI } from "./document.mjs";
import { startServers } from "./suite.mjs";

const servers = startServers();

const CLIENTS = {
  OpenAI: () => new OpenAI({ baseURL: `${servers.gateway.url}/v1`, apiKey: APP_KEY, maxRetries: 0 }),
  AzureOpenAI: () =>
    new AzureOpenAI({ endpoint: servers.gateway.url, apiKey: APP_KEY, apiVersion: "2024-10-21", maxRetries: 0 }),
};

const WEATHER = { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } };
const Person = z.object({ name: z.string(), age: z.number() });
const AUDIO = Buffer.from(Array.from({ length: 3000 }, (_, index) => (index * 7) % 256));

for (const [name, connect] of Object.entries(CLIENTS)) {
  describe(name, () => {
    let client;
    before(() => (client = connect()));

    test("a chat answer", async () => {
      const answer = await client.chat.completions.create({ model: "chat", messages: HI });
      assert.equal(answer.choices[0].message.content, "hello from openai/gpt-4o");
      assert.ok(answer.usage.total_tokens > 0);
    });

    test("a streamed chat answer, with its usage", async () => {
      const options = { model: "chat", messages: HI, stream: true, stream_options: { include_usage: true } };
      let [text, usage] = ["", undefined];
      for await (const chunk of await client.chat.completions.create(options)) {
        text += chunk.choices[0]?.delta?.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, "hello from openai/gpt-4o");
      assert.ok(usage.total_tokens > 0);
    });

    test("a streamed chat answer from Azure, dated and v1", async () => {
      for (const region of ["eastus", "westeurope"]) {
        const stream = client.chat.completions.stream({ model: `chat-${region}`, messages: HI });
        assert.equal(await stream.finalContent(), `hello from ${region}/gpt-4o-${region}`);
      }
    });

    test("a tool call, and the answer to its result", async () => {
      const tools = [{ type: "function", function: { name: "weather", parameters: WEATHER } }];
      const first = await client.chat.completions.create({ model: "chat", messages: HI, tools });
      assert.equal(first.choices[0].finish_reason, "tool_calls");
      const [call] = first.choices[0].message.tool_calls;
      assert.deepEqual(JSON.parse(call.function.arguments), { city: "openai/gpt-4o", days: 1 });
      const result = { role: "tool", tool_call_id: call.id, content: "rain" };
      const messages = [...HI, first.choices[0].message, result];
      const second = await client.chat.completions.create({ model: "chat", messages, tools });
      assert.equal(second.choices[0].message.content, "hello from openai/gpt-4o");
    });

    test("a streamed tool call", async () => {
      const tools = [{ type: "function", function: { name: "weather", parameters: WEATHER } }];
      const stream = client.chat.completions.stream({ model: "chat-eastus", messages: HI, tools });
      const call = (await stream.finalChatCompletion()).choices[0].message.tool_calls[0];
      assert.equal(call.function.name, "weather");
      assert.equal(JSON.parse(call.function.arguments).city, "eastus/gpt-4o-eastus");
    });

    test("a structured answer", async () => {
      const response_format = zodResponseFormat(Person, "person");
      const answer = await client.chat.completions.parse({ model: "chat", messages: HI, response_format });
      assert.deepEqual(answer.choices[0].message.parsed, { name: "hello from openai/gpt-4o", age: 1 });
    });

    test("embeddings, which the SDK asks for as base64", async () => {
      const answer = await client.embeddings.create({ model: "embed", input: ["one", "two"] });
      assert.equal(answer.data.length, 2);
      assert.equal(answer.data[0].embedding.length, 8);
      assert.ok(Math.abs(Math.hypot(...answer.data[0].embedding) - 1) < 1e-6);
    });

    test("a response", async () => {
      const answer = await client.responses.create({ model: "chat", input: "hi", store: false });
      assert.equal(answer.output_text, "hello from openai/gpt-4o");
    });

    test("a streamed response, from v1 of Azure as well", async () => {
      for (const [model, source] of [["chat", "openai/gpt-4o"], ["chat-westeurope", "westeurope/gpt-4o-westeurope"]]) {
        const types = [];
        let text = "";
        for await (const event of await client.responses.create({ model, input: "hi", store: false, stream: true })) {
          types.push(event.type);
          if (event.type === "response.output_text.delta") text += event.delta;
        }
        assert.equal(text, `hello from ${source}`);
        assert.equal(types[0], "response.created");
        assert.equal(types.at(-1), "response.completed");
      }
    });

    test("a response with a tool, and one with a structure", async () => {
      const tools = [{ type: "function", name: "weather", parameters: WEATHER, strict: false }];
      const called = await client.responses.create({ model: "chat", input: "hi", store: false, tools });
      assert.equal(JSON.parse(called.output[0].arguments).days, 1);
      const text = { format: zodTextFormat(Person, "person") };
      const parsed = await client.responses.parse({ model: "chat", input: "hi", store: false, text });
      assert.deepEqual(parsed.output_parsed, { name: "hello from openai/gpt-4o", age: 1 });
    });

    test("a completion, plain and streamed", async () => {
      const plain = await client.completions.create({ model: "instruct", prompt: "hi" });
      assert.equal(plain.choices[0].text, "hello from openai/gpt-3.5-turbo-instruct");
      let text = "";
      for await (const chunk of await client.completions.create({ model: "instruct", prompt: "hi", stream: true })) {
        text += chunk.choices[0]?.text ?? "";
      }
      assert.equal(text, "hello from openai/gpt-3.5-turbo-instruct");
    });

    test("a moderation", async () => {
      const answer = await client.moderations.create({ model: "moderate", input: "hi" });
      assert.equal(answer.results[0].flagged, false);
    });

    test("an image, and an edit of an uploaded one", async () => {
      const drawn = await client.images.generate({ model: "draw", prompt: "a cat" });
      assert.equal(drawn.data[0].revised_prompt, "hello from openai/gpt-image-1");
      const image = await toFile(AUDIO, "cat.png", { type: "image/png" });
      const edited = await client.images.edit({ model: "draw", image, prompt: "a dog" });
      assert.equal(edited.data[0].revised_prompt, "hello from openai/gpt-image-1, cat.png 3000 bytes");
    });

    test("speech, byte for byte", async () => {
      const answer = await client.audio.speech.create({ model: "speak", voice: "alloy", input: "hi" });
      const bytes = Buffer.from(await answer.arrayBuffer());
      assert.match(bytes.toString("latin1"), /hello from openai\/tts-1/);
      assert.deepEqual([...bytes.subarray(-3)], [1021, 1022, 1023].map((index) => (index * 89) % 256));
    });

    test("a transcription and a translation of an uploaded file", async () => {
      const file = () => toFile(AUDIO, "speech.mp3", { type: "audio/mpeg" });
      const transcription = await client.audio.transcriptions.create({ model: "listen", file: await file() });
      assert.equal(transcription.text, "hello from openai/whisper-1, speech.mp3 3000 bytes");
      const translation = await client.audio.translations.create({ model: "listen", file: await file() });
      assert.equal(translation.text, "hello from openai/whisper-1, speech.mp3 3000 bytes");
    });

    test("the list of models", async () => {
      const names = [];
      for await (const model of client.models.list()) names.push(model.id);
      assert.ok(names.includes("chat") && names.includes("embed"), names.join());
      assert.ok(!names.includes("openai"), "deployments are not listed");
    });

    test("a wrong key is the SDK's AuthenticationError", async () => {
      const unauthorized = client.withOptions({ apiKey: "wrong" });
      await assert.rejects(unauthorized.chat.completions.create({ model: "chat", messages: HI }), {
        status: 401,
        code: "invalid_api_key",
      });
    });
  });
}

test("AzureOpenAI works with the newest dated version, and with the deployment given to the client", async () => {
  const options = { endpoint: servers.gateway.url, apiKey: APP_KEY, apiVersion: "2025-04-01-preview", deployment: "chat-eastus" };
  const answer = await new AzureOpenAI(options).chat.completions.create({ model: "ignored", messages: HI });
  assert.equal(answer.choices[0].message.content, "hello from eastus/gpt-4o-eastus");
});

test("OpenAI works with Azure's v1 base URL", async () => {
  const client = new OpenAI({ baseURL: `${servers.gateway.url}/openai/v1/`, apiKey: APP_KEY });
  const answer = await client.chat.completions.create({ model: "chat-westeurope", messages: HI });
  assert.equal(answer.choices[0].message.content, "hello from westeurope/gpt-4o-westeurope");
});
