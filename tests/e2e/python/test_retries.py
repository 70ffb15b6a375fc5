"""Retries of the SDK, and failover in the gateway."""

import time
from unittest import mock

import openai
from harness import ASYNC, HI, SETTINGS, SYNC, AsyncGatewayTest, ClientTest
from harness import calls, fault, forget_everything, trail, with_each

SOON = {"retry-after": "1", "retry-after-ms": "50"}


def retry_counts():
    """How often the SDK had already sent each request that arrived."""
    return [call["headers"]["x-stainless-retry-count"] for call in calls("openai")]


@with_each(SYNC)
class Retries(ClientTest):
    title = "retries"
    options = {"max_retries": 2}

    def create(self, model="single", **options):
        return self.client.chat.completions.with_raw_response.create(model=model, messages=HI, **options)

    def test_rate_limit(self):
        """after a rate limit the SDK waits as long as the gateway says, and is served"""
        fault("openai", {"error": "rate_limit", "headers": SOON}, times=1)
        with mock.patch("time.sleep", wraps=time.sleep) as sleep:
            answer = self.create()
        [[seconds]] = [call.args for call in sleep.call_args_list]
        self.assertTrue(0 < seconds <= 0.05, seconds)
        self.assertEqual(answer.retries_taken, 1)
        self.assertEqual(retry_counts(), ["0", "1"])

    def test_retry_after(self):
        """a rate limit that stays has the headers that say when it ends"""
        fault("openai", "rate_limit")
        with self.assertRaises(openai.RateLimitError) as caught:
            self.client.with_options(max_retries=0).chat.completions.create(model="single", messages=HI)
        headers = caught.exception.response.headers
        self.assertEqual(headers["x-should-retry"], "true")
        self.assertEqual(headers["retry-after"], "20")
        self.assertLessEqual(int(headers["retry-after-ms"]), 20_000)

    def test_server_error(self):
        """the SDK repeats what may succeed in a moment, and no more often than the header allows"""
        fault("openai", {"error": "overloaded", "headers": SOON}, times=2)
        self.assertEqual(self.create().retries_taken, 2)
        fault("openai", {"error": "overloaded", "headers": SOON})
        before = len(calls("openai"))
        with self.assertRaises(openai.InternalServerError):
            self.create()
        self.assertEqual(len(calls("openai")) - before, 3)

    def test_should_retry(self):
        """the SDK does not repeat what cannot succeed, because x-should-retry is false"""
        for name in ["quota", "invalid_request", "bad_key"]:
            with self.subTest(name):
                forget_everything()
                fault("openai", name, times=1)
                with self.assertRaises(openai.APIStatusError) as caught:
                    self.create()
                self.assertEqual(caught.exception.response.headers["x-should-retry"], "false")
                self.assertEqual(len(calls("openai")), 1)

    def test_stream(self):
        """a stream that cannot begin is repeated"""
        fault("openai", {"error": "overloaded", "headers": SOON}, times=1)
        answer = self.create(stream=True)
        text = "".join(choice.delta.content or "" for chunk in answer.parse() for choice in chunk.choices)
        self.assertEqual(text, "hello from openai/gpt-4o")
        self.assertEqual(retry_counts(), ["0", "1"])

    def test_timeout(self):
        """after a timeout the SDK asks again"""
        fault("openai", {"silence": True}, times=1)
        answer = self.create(timeout=0.8, extra_headers={"x-stainless-read-timeout": "60"})
        self.assertEqual(answer.parse().choices[0].message.content, "hello from openai/gpt-4o")
        self.assertEqual(retry_counts()[:2], ["0", "1"])


@with_each(SYNC)
class Limits(ClientTest):
    title = "limits"

    def refused(self, key, most):
        """The first refusal of one of the gateway's limits."""
        with self.connect(api_key=SETTINGS[key]) as client:
            for _ in range(most + 1):
                try:
                    client.chat.completions.create(model="single", messages=HI)
                except openai.RateLimitError as error:
                    return error
        raise AssertionError(f"{most} requests more than the limit were served")

    def test_rate(self):
        """after the client's own rate limit the SDK waits until a request fits, and is served"""
        error = self.refused("rate_key", 300)
        self.assertEqual(error.code, "rate_limit_exceeded")
        headers = error.response.headers
        self.assertEqual(headers["x-should-retry"], "true")
        self.assertTrue(0 < int(headers["retry-after-ms"]) <= 1_000, headers["retry-after-ms"])
        with (
            self.connect(api_key=SETTINGS["rate_key"], max_retries=5) as client,
            mock.patch("time.sleep", wraps=time.sleep) as sleep,
        ):
            answer = client.chat.completions.with_raw_response.create(model="single", messages=HI)
        self.assertEqual(answer.retries_taken, len(sleep.call_args_list))
        self.assertTrue(all(0 < call.args[0] <= 1 for call in sleep.call_args_list), sleep.call_args_list)
        self.assertEqual(answer.headers["x-ratelimit-limit-requests"], "60")

    def test_quota(self):
        """a quota that is used up is not asked again"""
        self.refused("quota_key", 2)
        before = len(calls("openai"))
        with (
            self.connect(api_key=SETTINGS["quota_key"], max_retries=3) as client,
            mock.patch("time.sleep", wraps=time.sleep) as sleep,
            self.assertRaises(openai.RateLimitError) as caught,
        ):
            client.chat.completions.create(model="single", messages=HI)
        self.assertEqual(caught.exception.code, "insufficient_quota")
        self.assertEqual(caught.exception.response.headers["x-should-retry"], "false")
        self.assertEqual((sleep.call_count, len(calls("openai"))), (0, before))


@with_each(SYNC)
class Failover(ClientTest):
    title = "failover"

    def test_answers(self):
        """the second target answers whatever the first one does, and the SDK sends one request"""
        for spec, outcome in [
            ("rate_limit", "rate_limit"),
            ("overloaded", "unavailable"),
            ("bad_key", "auth"),
            ("bad_gateway", "unavailable"),
            ({"reset": True}, "connection"),
            ({"cut_after": 1}, "(truncated|connection)"),
        ]:
            with self.subTest(outcome):
                forget_everything()
                fault("openai", spec, times=1)
                raw = self.client.chat.completions.with_raw_response.create(model="pool", messages=HI)
                self.assertRegex(trail(raw.headers), f"^openai={outcome} azure-eastus=200$")
                self.assertEqual(raw.parse().choices[0].message.content, "hello from eastus/gpt-4o-eastus")

    def test_streams(self):
        """the second target streams if the first one fails before its first content"""
        for spec in ["rate_limit", {"reset": True}, {"error_after": 0}, {"error_body": True}]:
            with self.subTest(spec=spec):
                forget_everything()
                fault("openai", spec, times=1)
                with self.client.chat.completions.stream(model="pool", messages=HI) as stream:
                    final = stream.get_final_completion()
                self.assertEqual(final.choices[0].message.content, "hello from eastus/gpt-4o-eastus")

    def test_held(self):
        """a held stream that breaks comes whole from the second target"""
        fault("openai", {"cut_after": 4}, times=1)
        with self.client.chat.completions.stream(model="held", messages=HI) as stream:
            final = stream.get_final_completion()
        self.assertEqual(final.choices[0].message.content, "hello from eastus/gpt-4o-eastus")

    def test_embeddings(self):
        """embeddings come from the second target, too"""
        fault("openai", "overloaded", when={"operation": "embeddings"})
        raw = self.client.embeddings.with_raw_response.create(model="embed", input="one")
        self.assertEqual(raw.headers["x-switchyard-deployment"], "azure-eastus-embed")
        self.assertEqual(len(raw.parse().data[0].embedding), 8)


@with_each(ASYNC)
class AsyncFailover(AsyncGatewayTest):
    title = "failover"

    async def test_stream(self):
        """the second target streams if the first one fails"""
        fault("openai", "overloaded", times=1)
        async with self.connect() as client:
            async with client.chat.completions.stream(model="pool", messages=HI) as stream:
                final = await stream.get_final_completion()
        self.assertEqual(final.choices[0].message.content, "hello from eastus/gpt-4o-eastus")

    async def test_retry(self):
        """after a rate limit the SDK is served at its second request"""
        fault("openai", {"error": "rate_limit", "headers": SOON}, times=1)
        async with self.connect(max_retries=1) as client:
            await client.chat.completions.create(model="single", messages=HI)
        self.assertEqual(retry_counts(), ["0", "1"])
