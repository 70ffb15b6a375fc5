"""Streams of chat completions, and the helpers of the SDK for them."""

import json

import openai
from harness import ASYNC, HI, SYNC, AsyncGatewayTest, ClientTest, fault, with_each
from test_answers import STRICT_TOOLS, TOOLS, Person

USAGE = {"include_usage": True}


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@with_each(SYNC)
class Streams(ClientTest):
    title = "streams"

    def stream(self, model="chat", **options):
        return self.client.chat.completions.create(model=model, messages=HI, stream=True, **options)

    def test_usage(self):
        """a chat answer, with its usage in the last chunk"""
        chunks = list(self.stream(stream_options=USAGE))
        self.assertEqual(text_of(chunks), "hello from openai/gpt-4o")
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.total_tokens, 0)
        self.assertTrue(all(chunk.usage is None for chunk in chunks[:-1]))

    def test_azure(self):
        """a chat answer of Azure, dated and v1, whose first chunk has no choices"""
        for region in ["eastus", "westeurope"]:
            chunks = list(self.stream(model=f"chat-{region}"))
            self.assertEqual(chunks[0].choices, [])
            self.assertEqual(text_of(chunks), f"hello from {region}/gpt-4o-{region}")

    def test_helper(self):
        """the helper's events, and its final completion with the usage"""
        for model, source in [("chat", "openai/gpt-4o"), ("chat-eastus", "eastus/gpt-4o-eastus")]:
            with self.client.chat.completions.stream(model=model, messages=HI, stream_options=USAGE) as stream:
                events = list(stream)
                final = stream.get_final_completion()
            done = [event for event in events if event.type == "content.done"]
            self.assertEqual([event.content for event in done], [f"hello from {source}"])
            self.assertEqual(final.choices[0].message.content, f"hello from {source}")
            self.assertGreater(final.usage.total_tokens, 0)

    def test_helper_structure(self):
        """the helper parses a structured answer"""
        with self.client.chat.completions.stream(model="chat", messages=HI, response_format=Person) as stream:
            parsed = stream.get_final_completion().choices[0].message.parsed
        self.assertEqual(parsed, Person(name="hello from openai/gpt-4o", age=1))

    def test_helper_tools(self):
        """the helper collects a tool call"""
        with self.client.chat.completions.stream(model="chat-eastus", messages=HI, tools=STRICT_TOOLS) as stream:
            kinds = {event.type for event in stream}
            call = stream.get_final_completion().choices[0].message.tool_calls[0]
        self.assertIn("tool_calls.function.arguments.done", kinds)
        self.assertEqual(call.function.parsed_arguments["city"], "eastus/gpt-4o-eastus")

    def test_tools(self):
        """the pieces of a tool call are its arguments"""
        deltas = [choice.delta for chunk in self.stream(tools=TOOLS) for choice in chunk.choices]
        calls = [call for delta in deltas for call in delta.tool_calls or []]
        arguments = "".join(call.function.arguments for call in calls)
        self.assertEqual(json.loads(arguments), {"city": "openai/gpt-4o", "days": 1})

    def test_shapes(self):
        """line ends, comments and pieces of five bytes make no difference"""
        fault("openai", {"crlf": True, "comments": True, "split": True})
        chunks = list(self.stream(stream_options=USAGE))
        self.assertEqual(text_of(chunks), "hello from openai/gpt-4o")
        self.assertGreater(chunks[-1].usage.total_tokens, 0)

    def test_held(self):
        """a stream that is held until it is complete"""
        self.assertEqual(text_of(self.stream(model="held")), "hello from openai/gpt-4o")

    def test_raw(self):
        """the raw response of a stream has the gateway's headers, and its lines"""
        streaming = self.client.chat.completions.with_streaming_response
        with streaming.create(model="chat", messages=HI, stream=True) as answer:
            self.assertEqual(answer.headers["x-switchyard-deployment"], "openai")
            self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
            lines = [line for line in answer.iter_lines() if line]
        self.assertEqual(lines[-1], "data: [DONE]")

    def test_error_event(self):
        """an error event of the upstream is an APIError, after the text before it"""
        fault("openai", {"error_after": 3})
        self.assert_breaks(None, "server_error", "The server had an error")

    def test_cut(self):
        """a connection that breaks is an APIError with a code, after the text before it"""
        fault("openai", {"cut_after": 3})
        self.assert_breaks("upstream_truncated", "server_error", "")

    def test_early_end(self):
        """a stream that ends early is an APIError, and not a short answer"""
        fault("openai", {"end_after": 3})
        self.assert_breaks("upstream_truncated", "server_error", "The upstream ended the stream before")

    def test_stall(self):
        """a stream that stalls is an APIError with a code, and the SDK does not have to time out"""
        fault("openai", {"stall_after": 3})
        self.assert_breaks("upstream_timeout", "server_error", "", model="impatient")

    def test_keepalive(self):
        """the SDK skips the comments that come while a stream is held"""
        fault("openai", {"pause_ms": 50})
        streaming = self.client.chat.completions.with_streaming_response
        with streaming.create(model="held", messages=HI, stream=True) as answer:
            self.assertTrue(next(answer.iter_lines()).startswith(":"))
        self.assertEqual(text_of(self.stream(model="held")), "hello from openai/gpt-4o")

    def test_held_failure(self):
        """if all deployments fail after the first comment, the error is in the stream"""
        for upstream in ["openai", "eastus", "westeurope"]:
            fault(upstream, {"error": "overloaded", "slow_headers_ms": 150})
        with self.assertRaises(openai.APIError) as caught:
            list(self.stream(model="held"))
        self.assertNotIsInstance(caught.exception, openai.APIStatusError)
        self.assertEqual(caught.exception.code, "server_is_overloaded")

    def assert_breaks(self, code, kind, message, model="single"):
        chunks = []
        with self.assertRaises(openai.APIError) as caught:
            for chunk in self.stream(model=model):
                chunks.append(chunk)
        error = caught.exception
        self.assertNotIsInstance(error, (openai.APIStatusError, openai.APIConnectionError))
        self.assertEqual((error.code, error.type), (code, kind))
        self.assertIn(message, error.message)
        self.assertTrue(text_of(chunks).startswith("hello"), chunks)


@with_each(ASYNC)
class AsyncStreams(AsyncGatewayTest):
    title = "streams"

    async def test_usage(self):
        """a chat answer, with its usage in the last chunk"""
        async with self.connect() as client:
            options = {"model": "chat", "messages": HI, "stream": True, "stream_options": USAGE}
            chunks = [chunk async for chunk in await client.chat.completions.create(**options)]
        self.assertEqual(text_of(chunks), "hello from openai/gpt-4o")
        self.assertGreater(chunks[-1].usage.total_tokens, 0)

    async def test_helper(self):
        """the helper parses a structured answer of Azure"""
        async with self.connect() as client:
            options = {"model": "chat-eastus", "messages": HI, "response_format": Person}
            async with client.chat.completions.stream(**options) as stream:
                final = await stream.get_final_completion()
        self.assertEqual(final.choices[0].message.parsed.name, "hello from eastus/gpt-4o-eastus")

    async def test_error_event(self):
        """an error event of the upstream is an APIError"""
        fault("openai", {"error_after": 3})
        async with self.connect() as client:
            stream = await client.chat.completions.create(model="single", messages=HI, stream=True)
            with self.assertRaises(openai.APIError) as caught:
                [chunk async for chunk in stream]
        self.assertEqual(caught.exception.type, "server_error")
