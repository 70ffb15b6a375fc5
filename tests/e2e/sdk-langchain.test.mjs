// LangChain's OpenAI and Azure classes.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { tool } from "@langchain/core/tools";
import { AzureChatOpenAI, AzureOpenAIEmbeddings, ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { APP_KEY } from "./document.mjs";
import { startServers } from "./suite.mjs";

const servers = startServers();

const openai = () => ({ apiKey: APP_KEY, configuration: { baseURL: `${servers.gateway.url}/v1` }, maxRetries: 0 });
const azure = (deployment) => ({
  azureOpenAIApiKey: APP_KEY,
  azureOpenAIEndpoint: servers.gateway.url,
  azureOpenAIApiVersion: "2024-10-21",
  azureOpenAIApiDeploymentName: deployment,
  maxRetries: 0,
});

const MODELS = {
  ChatOpenAI: () => new ChatOpenAI({ ...openai(), model: "chat" }),
  "ChatOpenAI with the Responses API": () => new ChatOpenAI({ ...openai(), model: "chat", useResponsesApi: true }),
  AzureChatOpenAI: () => new AzureChatOpenAI({ ...azure("chat"), model: "chat" }),
};

const weather = tool(async ({ city }) => `rain in ${city}`, {
  name: "weather",
  description: "The weather of a city.",
  schema: z.object({ city: z.string() }),
});

for (const [name, connect] of Object.entries(MODELS)) {
  describe(name, () => {
    let model;
    before(() => (model = connect()));

    test("an answer", async () => {
      const answer = await model.invoke("hi");
      assert.equal(answer.text, "hello from openai/gpt-4o");
      assert.ok(answer.usage_metadata.total_tokens > 0);
    });

    test("a streamed answer", async () => {
      let text = "";
      for await (const chunk of await model.stream("hi")) text += chunk.text;
      assert.equal(text, "hello from openai/gpt-4o");
    });

    test("a tool call", async () => {
      const answer = await model.bindTools([weather]).invoke("hi");
      assert.equal(answer.tool_calls[0].name, "weather");
      assert.deepEqual(answer.tool_calls[0].args, { city: "openai/gpt-4o" });
    });

    test("a structured answer", async () => {
      const schema = z.object({ name: z.string(), age: z.number() });
      const answer = await model.withStructuredOutput(schema, { method: "jsonSchema", name: "person" }).invoke("hi");
      assert.deepEqual(answer, { name: "hello from openai/gpt-4o", age: 1 });
    });
  });
}

const EMBEDDINGS = {
  OpenAIEmbeddings: () => new OpenAIEmbeddings({ ...openai(), model: "embed" }),
  AzureOpenAIEmbeddings: () =>
    new AzureOpenAIEmbeddings({ ...azure("embed"), azureOpenAIBasePath: `${servers.gateway.url}/openai/deployments` }),
};
for (const [name, connect] of Object.entries(EMBEDDINGS)) {
  test(`${name}: vectors of documents and of a query`, async () => {
    const embeddings = connect();
    const documents = await embeddings.embedDocuments(["one", "two"]);
    assert.deepEqual(documents.map((vector) => vector.length), [8, 8]);
    const query = await embeddings.embedQuery("one");
    assert.deepEqual(query, documents[0]);
  });
}
