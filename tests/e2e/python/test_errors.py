"""Errors are the exceptions that the SDK has for them, with their attributes."""

import openai
from harness import ASYNC, HI, SETTINGS, SYNC, AsyncGatewayTest, ClientTest
from harness import calls, fault, forget_everything, trail, with_each
from httpx2 import Timeout

# The fault of the upstream, what the SDK raises, and its attributes: status, code, param, type.
UPSTREAM = [
    ("invalid_request", openai.BadRequestError, (400, "invalid_value", "temperature", "invalid_request_error")),
    ("context_window", openai.BadRequestError, (400, "context_length_exceeded", "messages", "invalid_request_error")),
    ("content_filter", openai.BadRequestError, (400, "content_policy_violation", None, "invalid_request_error")),
    ("rate_limit", openai.RateLimitError, (429, "rate_limit_exceeded", None, "requests")),
    ("quota", openai.RateLimitError, (429, "insufficient_quota", None, "insufficient_quota")),
    ("server_error", openai.InternalServerError, (500, None, None, "server_error")),
    ("overloaded", openai.InternalServerError, (503, "server_is_overloaded", None, "service_unavailable_error")),
]
# The status of the upstream, and what the SDK raises.
STATUSES = [(409, openai.ConflictError), (422, openai.UnprocessableEntityError)]


class Attributes:
    def assert_error(self, error, kind, expected):
        self.assertIs(type(error), kind, error)
        self.assertEqual((error.status_code, error.code, error.param, error.type), expected)
        self.assertTrue(error.response.headers["x-switchyard-request-id"])
        self.assertTrue(error.message.startswith(f"Error code: {expected[0]}"), error.message)
        self.assertEqual(set(error.body), {"message", "type", "param", "code"})


@with_each(SYNC)
class Errors(Attributes, ClientTest):
    title = "errors"

    def error(self, kind=openai.APIError, client=None, **options):
        with self.assertRaises(kind) as caught:
            (client or self.client).chat.completions.create(**{"model": "single", "messages": HI, **options})
        return caught.exception

    def test_upstream(self):
        """those of the upstream have its status, code, parameter and type, streamed or not"""
        for name, kind, expected in UPSTREAM:
            for stream in [False, True]:
                with self.subTest(name, stream=stream):
                    forget_everything()
                    fault("openai", name, times=1)
                    self.assert_error(self.error(stream=stream), kind, expected)

    def test_azure(self):
        """those of Azure have its code, and the verdict of its content filter"""
        fault("eastus", "content_filter", times=1)
        error = self.error(openai.BadRequestError, model="chat-eastus")
        self.assertEqual((error.code, error.param), ("content_filter", "prompt"))
        self.assertTrue(error.body["innererror"]["content_filter_result"]["jailbreak"]["filtered"])
        fault("eastus", "rate_limit", times=1)
        error = self.error(openai.RateLimitError, model="chat-eastus")
        self.assertEqual((error.status_code, error.code), (429, "429"))
        self.assertGreater(int(error.response.headers["retry-after"]), 0)

    def test_statuses(self):
        """409 and 422 have their own exceptions"""
        for status, kind in STATUSES:
            with self.subTest(status):
                body = {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}
                fault("openai", {"status": status, "body": body}, times=1)
                self.assert_error(self.error(), kind, (status, "c", "p", "t"))

    def test_authentication(self):
        """a wrong key is an AuthenticationError"""
        error = self.error(client=self.connect(api_key="sk-wrong"))
        self.assert_error(error, openai.AuthenticationError, (401, "invalid_api_key", None, "invalid_request_error"))
        self.assertEqual(calls("openai"), [])

    def test_permission(self):
        """a model that the key may not use is a NotFoundError, as if it did not exist"""
        error = self.error(client=self.connect(api_key=SETTINGS["limited_key"]))
        expected = (404, "model_not_found", "model", "invalid_request_error")
        self.assert_error(error, openai.NotFoundError, expected)

    def test_not_found(self):
        """a model that does not exist is a NotFoundError, which names the nearest one"""
        error = self.error(model="singel")
        self.assert_error(error, openai.NotFoundError, (404, "model_not_found", "model", "invalid_request_error"))
        self.assertIn("'single'", error.message)

    def test_empty_model(self):
        """an empty model is a BadRequestError, also in the path of an Azure deployment"""
        error = self.error(openai.BadRequestError, model="")
        self.assertEqual((error.code, error.param), ("missing_model", "model"))

    def test_no_shape(self):
        """an error of the upstream without a shape has one here"""
        for name in ["bad_gateway", "empty_error"]:
            with self.subTest(name):
                fault("openai", name, times=1)
                error = self.error(openai.InternalServerError)
                self.assertEqual(error.code, "upstream_unavailable")
                self.assertEqual(set(error.body), {"message", "type", "param", "code"})

    def test_credential(self):
        """a refused credential of the gateway is not an AuthenticationError of the client"""
        fault("openai", "bad_key", times=1)
        error = self.error(openai.InternalServerError)
        self.assertEqual((error.status_code, error.code), (502, "upstream_auth"))

    def test_connection(self):
        """a connection that is reset is an InternalServerError"""
        fault("openai", {"reset": True})
        error = self.error(openai.InternalServerError)
        self.assertEqual((error.status_code, error.code), (502, "upstream_unreachable"))

    def test_timeout(self):
        """a client that stops waiting has an APITimeoutError"""
        fault("openai", {"slow_headers_ms": 600})
        # The header says more than the truth, so that the gateway does not answer before.
        patient = {"x-stainless-read-timeout": "60"}
        error = self.error(openai.APITimeoutError, timeout=0.3, extra_headers=patient)
        self.assertEqual(error.message, "Request timed out.")
        self.assert_well()

    def test_announced_timeout(self):
        """the gateway ends a request that the client no longer waits for"""
        fault("openai", {"silence": True})
        # The SDK announces the time for reading. It itself waits for longer here.
        timeout = Timeout(30, read=30)
        announced = {"x-stainless-read-timeout": "0.3"}
        error = self.error(openai.InternalServerError, timeout=timeout, extra_headers=announced)
        self.assertEqual(error.status_code, 504)
        self.assertEqual(error.response.headers["x-should-retry"], "false")
        self.assert_well()

    def test_request_id(self):
        """an error and an answer have the request id of the upstream, and that of the gateway"""
        answer = self.client.chat.completions.create(model="single", messages=HI)
        self.assertTrue(answer._request_id.startswith("req_"))
        fault("openai", "invalid_request")
        error = self.error()
        self.assertTrue(error.request_id.startswith("req_"))
        self.assertTrue(error.response.headers["x-switchyard-request-id"])

    def test_raw(self):
        """the raw response has the headers of the gateway and the limits of the upstream"""
        raw = self.client.chat.completions.with_raw_response.create(model="pool", messages=HI)
        self.assertEqual(raw.headers["x-switchyard-model"], "pool")
        self.assertEqual(raw.headers["x-switchyard-deployment"], "openai")
        self.assertEqual(raw.headers["x-switchyard-attempts"], "1")
        self.assertEqual(trail(raw.headers), "openai=200")
        self.assertEqual(raw.headers["x-ratelimit-limit-requests"], "10000")
        self.assertEqual(raw.retries_taken, 0)
        self.assertEqual(raw.parse().choices[0].message.content, "hello from openai/gpt-4o")


@with_each(ASYNC)
class AsyncErrors(Attributes, AsyncGatewayTest):
    title = "errors"

    async def test_upstream(self):
        """those of the upstream have its status, code, parameter and type"""
        async with self.connect() as client:
            for name, kind, expected in UPSTREAM:
                with self.subTest(name):
                    forget_everything()
                    fault("openai", name, times=1)
                    with self.assertRaises(kind) as caught:
                        await client.chat.completions.create(model="single", messages=HI)
                    self.assert_error(caught.exception, kind, expected)

    async def test_timeout(self):
        """a client that stops waiting has an APITimeoutError"""
        fault("openai", {"slow_headers_ms": 600})
        patient = {"x-stainless-read-timeout": "60"}
        async with self.connect() as client:
            with self.assertRaises(openai.APITimeoutError):
                await client.chat.completions.create(model="single", messages=HI, timeout=0.3, extra_headers=patient)
        self.assert_well()
