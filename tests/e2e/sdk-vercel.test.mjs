// The Vercel AI SDK, with its OpenAI and its Azure provider.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { createAzure } from "@ai-sdk/azure";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { z } from "zod";
import { APP_KEY } from "./document.mjs";
import { startServers } from "./suite.mjs";

const servers = startServers();

const PROVIDERS = {
  "@ai-sdk/openai": () => createOpenAI({ baseURL: `${servers.gateway.url}/v1`, apiKey: APP_KEY }),
  "@ai-sdk/azure, v1 paths": () => createAzure({ baseURL: `${servers.gateway.url}/openai`, apiKey: APP_KEY }),
  "@ai-sdk/azure, deployment paths": () =>
    createAzure({
      baseURL: `${servers.gateway.url}/openai`,
      apiKey: APP_KEY,
      useDeploymentBasedUrls: true,
      apiVersion: "2025-04-01-preview",
    }),
};

const schema = z.object({ name: z.string(), age: z.number() });
const weather = ai.tool({
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});

for (const [name, connect] of Object.entries(PROVIDERS)) {
  describe(name, () => {
    let provider;
    before(() => (provider = connect()));
    const kinds = { "chat completions": () => provider.chat("chat"), responses: () => provider.responses("chat") };
    for (const [kind, model] of Object.entries(kinds)) {
      test(`${kind}: a text`, async () => {
        const { text, usage } = await ai.generateText({ model: model(), prompt: "hi", maxRetries: 0 });
        assert.equal(text, "hello from openai/gpt-4o");
        assert.ok(usage.totalTokens > 0);
      });

      test(`${kind}: a streamed text`, async () => {
        const result = ai.streamText({ model: model(), prompt: "hi", maxRetries: 0 });
        let text = "";
        for await (const part of result.textStream) text += part;
        assert.equal(text, "hello from openai/gpt-4o");
        assert.ok((await result.usage).totalTokens > 0);
      });

      test(`${kind}: a tool, run and answered`, async () => {
        const stopWhen = ai.stepCountIs(3);
        const result = await ai.generateText({ model: model(), prompt: "hi", tools: { weather }, stopWhen, maxRetries: 0 });
        assert.equal(result.steps[0].toolResults[0].output, "rain in openai/gpt-4o");
        assert.equal(result.text, "hello from openai/gpt-4o");
      });

      test(`${kind}: a streamed tool call`, async () => {
        const result = ai.streamText({ model: model(), prompt: "hi", tools: { weather }, maxRetries: 0 });
        const [call] = await result.toolCalls;
        assert.deepEqual(call.input, { city: "openai/gpt-4o" });
      });

      test(`${kind}: a structured answer`, async () => {
        const output = ai.Output.object({ schema });
        const result = await ai.generateText({ model: model(), prompt: "hi", output, maxRetries: 0 });
        assert.deepEqual(result.output, { name: "hello from openai/gpt-4o", age: 1 });
      });
    }

    test("embeddings", async () => {
      const model = provider.embedding("embed");
      const { embeddings } = await ai.embedMany({ model, values: ["one", "two"], maxRetries: 0 });
      assert.deepEqual(embeddings.map((vector) => vector.length), [8, 8]);
    });

    test("an image", async () => {
      const generate = ai.generateImage ?? ai.experimental_generateImage;
      const { image } = await generate({ model: provider.image("draw"), prompt: "a cat", maxRetries: 0 });
      assert.equal(image.mediaType, "image/png");
    });

    test("speech", async () => {
      const generate = ai.generateSpeech ?? ai.experimental_generateSpeech;
      const { audio } = await generate({ model: provider.speech("speak"), text: "hi", maxRetries: 0 });
      assert.match(Buffer.from(audio.uint8Array).toString("latin1"), /hello from openai\/tts-1/);
    });

    test("a transcription", async () => {
      const transcribe = ai.transcribe ?? ai.experimental_transcribe;
      const audio = new Uint8Array(3000).fill(7);
      const { text } = await transcribe({ model: provider.transcription("listen"), audio, maxRetries: 0 });
      assert.match(text, /^hello from openai\/whisper-1, .* 3000 bytes$/);
    });
  });
}
