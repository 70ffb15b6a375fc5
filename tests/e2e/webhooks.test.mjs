// Alerts to webhooks: a receiver on this machine verifies them with the library of Standard
// Webhooks.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { chat } from "./document.mjs";
import { eventually, served, withIsolates } from "./isolates.mjs";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SETTINGS = { refresh_seconds: 1, webhooks: [{ url: "${ALERT_URL}", secret: "${ALERT_SECRET}" }] };

// Starts a receiver, passes it to `use`, and stops it. `answer` gets the number of the call, and
// returns the status and the headers of its answer.
async function withReceiver(answer, use) {
  const calls = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    calls.push({ path: request.url, headers: request.headers, text });
    const { status, headers } = answer(calls.length);
    response.writeHead(status, headers).end("ok");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/alerts?token=secret-token`;
  try {
    return await use({ url, calls });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("webhooks", { concurrency: 2 }, () => {
  test("a refused document is reported once for several isolates, signed", () =>
    withReceiver(() => ({ status: 200 }), ({ url, calls }) =>
      withIsolates({ isolates: 3, settings: SETTINGS, vars: { ALERT_URL: url, ALERT_SECRET: SECRET } }, async ({ gateway, options: { routes } }) => {
        for (const isolate of gateway.isolates) await served(isolate);
        await gateway.putRoutes({ ...routes, models: { ...routes.models, chat: { targets: ["opnai"] } } });
        await eventually("every isolate has refused it, and one has reported it", async () => {
          for (const isolate of gateway.isolates) await served(isolate);
          const refusals = gateway.logs.filter((line) => /the document is refused/.test(line));
          return refusals.length >= 3 && calls.length > 0;
        }, { withinMs: 15_000 });
        for (let request = 0; request < 20; request += 1) for (const isolate of gateway.isolates) await served(isolate);
        assert.equal(calls.length, 1);
        const [{ path, headers, text }] = calls;
        assert.equal(path, "/alerts?token=secret-token");
        const alert = new Webhook(SECRET).verify(text, headers);
        assert.equal(alert.type, "routes");
        assert.equal(alert.id, headers["webhook-id"]);
        assert.equal(alert.data.routes.issues, 1);
        assert.match(alert.data.routes.first[0], /^models\.chat\.targets\[0\]/);
        assert.throws(() => new Webhook(SECRET).verify(`${text} `, headers), /signature/i);
        const said = [text, ...gateway.logs].join("\n");
        for (const secret of [SECRET, "secret-token"]) assert.ok(!said.includes(secret));
      }),
    ));

  test("an alert that is not taken comes again as it was although the object was evicted, and a redirect is not followed", () =>
    withReceiver((call) => (call === 1 ? { status: 307, headers: { location: "/elsewhere" } } : { status: 204 }), ({ url, calls }) =>
      withIsolates({ isolates: 2, settings: SETTINGS, vars: { ALERT_URL: url, ALERT_SECRET: "a plain text" } }, async ({ gateway }) => {
        for (const isolate of gateway.isolates) await served(isolate);
        await gateway.putRoutes("[]");
        await eventually("it was reported", async () => {
          for (const isolate of gateway.isolates) await served(isolate);
          return calls.length > 0;
        }, { withinMs: 15_000 });
        await gateway.evict("default/enam");
        await eventually("it was reported twice", async () => {
          for (const isolate of gateway.isolates) await served(isolate);
          return calls.length > 1;
        }, { withinMs: 40_000, everyMs: 200 });
        assert.deepEqual(calls.map(({ path }) => path), Array(2).fill("/alerts?token=secret-token"));
        assert.equal(calls[0].text, calls[1].text);
        assert.equal(calls[0].headers["webhook-id"], calls[1].headers["webhook-id"]);
        for (const { text, headers } of calls) new Webhook("a plain text", { format: "raw" }).verify(text, headers);
        assert.ok(gateway.logs.some((line) => /did not take the alert .*status 307/.test(line)), gateway.logs.join("\n"));
      }),
    ));

  test("a limit of a month is reported at 80 percent and at its end, once for several isolates and regions, although the ledger was evicted", () =>
    withReceiver((call) => ({ status: call === 1 ? 503 : 200 }), ({ url, calls }) => {
      const budget = { webhooks: [{ url: "${ALERT_URL}", secret: "${ALERT_SECRET}", on: ["budget"] }], refresh_seconds: 3600 };
      const clients = { app: { key: "${APP_KEY}", limits: [{ requests: 20, per: "month" }] } };
      return withIsolates({ isolates: 3, clients, settings: budget, vars: { ALERT_URL: url, ALERT_SECRET: SECRET } }, async ({ gateway }) => {
        const alerts = () => calls.map(({ text, headers }) => new Webhook(SECRET).verify(text, headers));
        let sent = 0;
        const send = async () => {
          const response = await chat(gateway.isolates[sent++ % 3]);
          await response.text();
          return response.status;
        };
        for (let request = 0; request < 15; request += 1) assert.equal(await send(), 200);
        await eventually("all of it is spent and refused", async () => (await send()) === 429 && alerts().some(({ data }) => data.threshold === 100), {
          withinMs: 40_000,
          everyMs: 200,
        });
        await gateway.evictLedger("default/client:app");
        await eventually("the alert that was not taken came again", async () => {
          await send();
          return calls.length > 1 && calls.filter(({ text }) => text === calls[0].text).length === 2;
        }, { withinMs: 60_000, everyMs: 500 });
        for (let request = 0; request < 9; request += 1) await send();
        const thresholds = alerts().map(({ data }) => data.threshold);
        assert.ok(thresholds.filter((threshold) => threshold === 100).length <= 2, `${thresholds}`);
        const { type, data } = alerts().find(({ data }) => data.threshold === 100);
        assert.deepEqual([type, data.client, data.meter, data.amount, data.spent], ["budget", "app", "requests/month", 20, 20]);
        assert.equal(new Set(calls.map(({ headers }) => headers["webhook-id"])).size, new Set(thresholds).size);
      });
    }));
});
