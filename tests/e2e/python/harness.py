"""The clients, the gateway's admin API and the simulator's control port, for all tests."""

import json
import sys
import time
import unittest
from urllib.request import Request, urlopen

import openai

SETTINGS = json.loads(sys.argv[1])
HI = [{"role": "user", "content": "hi"}]
# Enough bytes to notice a change if they are decoded as text.
BINARY = bytes(index * 7 % 256 for index in range(3000))
API_VERSION = "2024-10-21"


def for_openai(kind, **options):
    base_url = f"{SETTINGS['gateway']}/v1"
    return kind(**{"base_url": base_url, "api_key": SETTINGS["key"], "max_retries": 0, **options})


def for_azure(kind, **options):
    common = {"azure_endpoint": SETTINGS["gateway"], "api_key": SETTINGS["key"], "api_version": API_VERSION}
    return kind(**{**common, "max_retries": 0, **options})


SYNC = {
    "OpenAI": lambda **options: for_openai(openai.OpenAI, **options),
    "AzureOpenAI": lambda **options: for_azure(openai.AzureOpenAI, **options),
}
ASYNC = {
    "AsyncOpenAI": lambda **options: for_openai(openai.AsyncOpenAI, **options),
    "AsyncAzureOpenAI": lambda **options: for_azure(openai.AsyncAzureOpenAI, **options),
}


def call(url, method="GET", body=None, token=None):
    """A request with JSON. Returns what is in the answer."""
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data=data, headers=headers, method=method), timeout=10) as answer:
        return json.load(answer)


def fault(upstream, fault, **spec):
    call(f"{SETTINGS['simulator']}/faults", "POST", {"upstream": upstream, "fault": fault, **spec})


def calls(upstream):
    """The calls that an upstream received since the test began."""
    return call(f"{SETTINGS['simulator']}/calls?upstream={upstream}")[upstream]


def forget_everything():
    """Removes all faults, recorded calls, and what the gateway learned about the deployments."""
    call(f"{SETTINGS['simulator']}/faults", "DELETE")
    call(f"{SETTINGS['simulator']}/calls", "DELETE")
    call(f"{SETTINGS['gateway']}/admin/api/deployments/reset", "POST", token=SETTINGS["admin_token"])


def health():
    return call(f"{SETTINGS['gateway']}/admin/api/health", token=SETTINGS["admin_token"])


def eventually(what, look, within=8):
    """Looks until the result is true."""
    until = time.monotonic() + within
    while not look():
        if time.monotonic() > until:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.02)


def trail(headers):
    """The deployments that were tried and their outcomes: `openai=rate_limit azure-eastus=200`."""
    entries = headers["x-switchyard-trail"].split(", ")
    return " ".join(entry.split(";")[0] for entry in entries)


class GatewayTest(unittest.TestCase):
    """A test that begins with healthy upstreams."""

    def setUp(self):
        forget_everything()

    def assert_well(self):
        """No deployment is ejected, and nothing of the requests before remains."""

        def is_at_rest():
            state = health()
            views = [deployment["isolate"] for deployment in state["deployments"]]
            for view in views:
                self.assertEqual(view["gate"]["state"], "closed", view)
            # The one task is the request for the health.
            return state["tasks"] == 1 and not any(view["in_flight"] for view in views)

        eventually("the gateway is at rest", is_at_rest)


class ClientTest(GatewayTest):
    """The same, with one client for all tests of the class. `options` are those of the client."""

    options = {}

    @classmethod
    def setUpClass(cls):
        cls.client = cls.connect(**cls.options)
        cls.addClassCleanup(cls.client.close)


class AsyncGatewayTest(GatewayTest, unittest.IsolatedAsyncioTestCase):
    """The same, for coroutines."""


def with_each(clients):
    """Makes one test class for each client out of a class. `self.connect` makes the client."""

    def make(base):
        module = sys.modules[base.__module__]
        for title, connect in clients.items():
            name = f"{base.__name__}With{title}"
            parts = {"title": f"{title}, {base.title}", "connect": staticmethod(connect), "__module__": base.__module__}
            setattr(module, name, type(name, (base,), parts))
        # The name of the class becomes None, so that the class itself is not run.
        return None

    return make
