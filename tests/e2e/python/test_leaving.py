"""Clients that leave: the calls of the upstream end, and the gateway stays well."""

import asyncio

from harness import ASYNC, HI, SYNC, AsyncGatewayTest, ClientTest, calls, eventually, fault, with_each

LONG = [{"role": "user", "content": "echo " + "word " * 2000}]
# More than the failures in a row that eject a deployment.
OFTEN = 7


def all_ended(outcome):
    """Whether as many calls as clients ended like this; `aborted` if the gateway left."""
    return lambda: [call["outcome"] for call in calls("openai")] == [outcome] * OFTEN


def some_text(chunk):
    return any(choice.delta.content for choice in chunk.choices)


@with_each(SYNC)
class Leaving(ClientTest):
    title = "leaving"

    def assert_served(self):
        answer = self.client.chat.completions.create(model="single", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from openai/gpt-4o")
        self.assert_well()

    def test_closed_stream(self):
        """streams that are closed early end at the upstream, eject nothing, and the next call is served"""
        fault("openai", {"pause_ms": 5}, times=OFTEN)
        for _ in range(OFTEN):
            with self.client.chat.completions.create(model="single", messages=LONG, stream=True) as stream:
                next(chunk for chunk in stream if some_text(chunk))
        eventually("the calls of the upstream ended", all_ended("aborted"))
        self.assert_served()

    def test_left_loop(self):
        """so do streams of the helper that a loop leaves with a break"""
        fault("openai", {"pause_ms": 5}, times=OFTEN)
        for _ in range(OFTEN):
            with self.client.chat.completions.stream(model="single", messages=LONG) as stream:
                for event in stream:
                    if event.type == "content.delta":
                        break
        eventually("the calls of the upstream ended", all_ended("aborted"))
        self.assert_served()

    def test_responses(self):
        """so do streams of the Responses API"""
        fault("openai", {"pause_ms": 5}, times=OFTEN)
        for _ in range(OFTEN):
            text = LONG[0]["content"]
            with self.client.responses.create(model="single", input=text, store=False, stream=True) as stream:
                next(event for event in stream if event.type == "response.output_text.delta")
        eventually("the calls of the upstream ended", all_ended("aborted"))
        self.assert_served()

    def test_read_streams(self):
        """streams that are read until [DONE] count as finished, although the SDK closes the connection then"""
        for _ in range(OFTEN):
            list(self.client.chat.completions.create(model="single", messages=HI, stream=True))
        eventually("the calls of the upstream ended", all_ended("finished"))
        self.assert_served()


@with_each(ASYNC)
class AsyncLeaving(AsyncGatewayTest):
    title = "leaving"

    async def assert_served(self, client):
        answer = await client.chat.completions.create(model="single", messages=HI)
        self.assertEqual(answer.choices[0].message.content, "hello from openai/gpt-4o")
        self.assert_well()

    async def read_until_cancelled(self, client, reading):
        stream = await client.chat.completions.create(model="single", messages=LONG, stream=True)
        async for chunk in stream:
            if some_text(chunk):
                reading.set()

    async def test_cancelled_streams(self):
        """tasks that are cancelled while they read a stream end it at the upstream, and eject nothing"""
        fault("openai", {"pause_ms": 5}, times=OFTEN)
        async with self.connect() as client:
            readers = []
            for _ in range(OFTEN):
                reading = asyncio.Event()
                readers.append((asyncio.create_task(self.read_until_cancelled(client, reading)), reading))
            for reader, reading in readers:
                await reading.wait()
                reader.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await reader
            await asyncio.to_thread(eventually, "the calls of the upstream ended", all_ended("aborted"))
            await self.assert_served(client)

    async def test_cancelled_requests(self):
        """tasks that are cancelled before their answer begins eject nothing"""
        fault("openai", {"slow_headers_ms": 500}, times=OFTEN)
        async with self.connect() as client:
            requests = [
                asyncio.create_task(client.chat.completions.create(model="single", messages=HI)) for _ in range(OFTEN)
            ]
            arrived = lambda: len(calls("openai")) == OFTEN  # noqa: E731
            await asyncio.to_thread(eventually, "the requests arrived", arrived)
            for request in requests:
                request.cancel()
            ends = await asyncio.gather(*requests, return_exceptions=True)
            self.assertTrue(all(isinstance(end, asyncio.CancelledError) for end in ends), ends)
            await self.assert_served(client)

    async def test_many(self):
        """forty requests at once over one client get their own answers"""
        async with self.connect() as client:

            async def ask(number):
                messages = [{"role": "user", "content": f"echo {number}"}]
                if number % 2:
                    answer = await client.chat.completions.create(model="chat", messages=messages)
                    return answer.choices[0].message.content
                async with client.chat.completions.stream(model="chat", messages=messages) as stream:
                    return (await stream.get_final_completion()).choices[0].message.content

            answers = await asyncio.gather(*(ask(number) for number in range(40)))
        self.assertEqual(answers, [f"hello from openai/gpt-4o: {number}" for number in range(40)])
        self.assert_well()
