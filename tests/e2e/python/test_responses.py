"""The Responses API."""

import json

import openai
from harness import ASYNC, SYNC, AsyncGatewayTest, ClientTest, calls, fault, trail, with_each
from test_answers import STRICT, WEATHER, Person

TOOL = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": False}


@with_each(SYNC)
class Responses(ClientTest):
    title = "Responses"

    def create(self, **options):
        return self.client.responses.create(**{"model": "chat", "input": "hi", **options})

    def test_create(self):
        """a response, of Azure as well"""
        for model, source in [("chat", "openai/gpt-4o"), ("chat-westeurope", "westeurope/gpt-4o-westeurope")]:
            answer = self.create(model=model, store=False)
            self.assertEqual(answer.output_text, f"hello from {source}")
            self.assertGreater(answer.usage.total_tokens, 0)

    def test_stream(self):
        """a stream of events, of Azure as well"""
        for model, source in [("chat", "openai/gpt-4o"), ("chat-westeurope", "westeurope/gpt-4o-westeurope")]:
            events = list(self.create(model=model, store=False, stream=True))
            self.assertEqual((events[0].type, events[-1].type), ("response.created", "response.completed"))
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            self.assertEqual(text, f"hello from {source}")
            self.assertEqual([event.sequence_number for event in events], list(range(len(events))))

    def test_helper(self):
        """the helper of streams, with a structure"""
        with self.client.responses.stream(model="chat", input="hi", text_format=Person) as stream:
            self.assertIn("response.output_text.done", {event.type for event in stream})
            final = stream.get_final_response()
        self.assertEqual(final.output_parsed, Person(name="hello from openai/gpt-4o", age=1))

    def test_tools(self):
        """a tool call, and the answer to its result"""
        first = self.create(tools=[TOOL])
        call = first.output[0]
        self.assertEqual(json.loads(call.arguments), {"city": "openai/gpt-4o", "days": 1})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
        second = self.create(input=[result], previous_response_id=first.id, tools=[TOOL])
        self.assertEqual(second.output_text, "hello from openai/gpt-4o")
        self.assertEqual(second.previous_response_id, first.id)

    def test_parsed(self):
        """a structured answer, and a strict tool call, are parsed"""
        answer = self.client.responses.parse(model="chat", input="hi", text_format=Person)
        self.assertEqual(answer.output_parsed, Person(name="hello from openai/gpt-4o", age=1))
        tools = [{**TOOL, "parameters": STRICT, "strict": True}]
        called = self.client.responses.parse(model="chat", input="hi", tools=tools)
        self.assertEqual(called.output[0].parsed_arguments, {"city": "openai/gpt-4o", "days": 1})

    def test_stored(self):
        """a stored response is retrieved, its input is listed, and it is deleted"""
        made = self.create(model="chat-westeurope", input="what was sent")
        self.assertEqual(self.client.responses.retrieve(made.id).output_text, made.output_text)
        items = list(self.client.responses.input_items.list(made.id))
        self.assertEqual(items[0].content[0].text, "what was sent")
        self.assertIsNone(self.client.responses.delete(made.id))
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.responses.retrieve(made.id)
        self.assertIn(made.id, caught.exception.message)

    def test_background(self):
        """a response in the background is asked for, and cancelled"""
        made = self.create(background=True)
        self.assertEqual((made.status, made.background), ("queued", True))
        self.assertEqual(self.client.responses.retrieve(made.id).status, "queued")
        self.assertEqual(self.client.responses.cancel(made.id).status, "cancelled")
        self.assertEqual(self.client.responses.retrieve(made.id).status, "cancelled")

    def test_resumed(self):
        """a stream is resumed after an event"""
        events = list(self.create(stream=True))
        resumed = self.client.responses.retrieve(events[0].response.id, stream=True, starting_after=3)
        self.assertEqual([event.sequence_number for event in resumed], list(range(4, len(events))))

    def test_unknown(self):
        """a previous response that no account has is a BadRequestError with its parameter"""
        with self.assertRaises(openai.BadRequestError) as caught:
            self.create(previous_response_id="resp_0000000000000000")
        error = caught.exception
        self.assertEqual((error.code, error.param), ("previous_response_not_found", "previous_response_id"))

    def test_error_event(self):
        """an error event of the upstream ends a stream"""
        fault("openai", {"error_after": 6})
        events = list(self.create(model="single", stream=True))
        self.assertEqual((events[-1].type, events[-1].code), ("error", "server_error"))

    def test_failover(self):
        """the next account answers, and what it stored is found there"""
        fault("openai", "overloaded", times=1)
        pool = {"model": "pool", "input": "hi"}
        made = self.client.responses.with_raw_response.create(**pool)
        self.assertEqual(trail(made.headers).split()[0], "openai=unavailable")
        id = made.parse().id
        follow = self.client.responses.with_raw_response.create(**pool, previous_response_id=id)
        self.assertEqual(follow.headers["x-switchyard-attempts"], "1")
        self.assertEqual(follow.headers["x-switchyard-deployment"], made.headers["x-switchyard-deployment"])

    def test_done_once(self):
        """a response in the background whose outcome is unknown is not repeated, by the SDK neither"""
        fault("openai", {"reset": True})
        patient = self.client.with_options(max_retries=2)
        with self.assertRaises(openai.InternalServerError) as caught:
            patient.responses.create(model="pool", input="hi", background=True)
        error = caught.exception
        self.assertEqual((error.status_code, error.code), (502, "upstream_outcome_unknown"))
        self.assertEqual(error.response.headers["x-should-retry"], "false")
        made = [len(calls(upstream)) for upstream in ["openai", "eastus", "westeurope"]]
        self.assertEqual(made, [1, 0, 0])


@with_each(ASYNC)
class AsyncResponses(AsyncGatewayTest):
    title = "Responses"

    async def test_all(self):
        """create, stream, continue, retrieve, delete"""
        async with self.connect() as client:
            stream = await client.responses.create(model="chat", input="hi", stream=True)
            events = [event async for event in stream]
            first = events[-1].response
            self.assertEqual(first.output_text, "hello from openai/gpt-4o")
            second = await client.responses.create(model="chat", input="hi", previous_response_id=first.id)
            found = await client.responses.retrieve(second.id)
            self.assertEqual(found.previous_response_id, first.id)
            for id in [first.id, second.id]:
                await client.responses.delete(id)
