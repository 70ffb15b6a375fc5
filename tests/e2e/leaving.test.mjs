// Thousands of clients that leave in every phase of a request: no state of them remains.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HI } from "./document.mjs";
import { ADMIN_TOKEN, eventually, withIsolates, served } from "./isolates.mjs";
import { leave, requestOf } from "./raw-client.mjs";

const CLIENTS = 10_000;
const AT_ONCE = 40;

const textOf = (body) => JSON.stringify({ model: "chat", messages: HI, ...body });

async function stateOf(isolate) {
  const response = await isolate.fetch("/admin/api/health", { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const { tasks, waits, deployments } = await response.json();
  const inFlight = deployments.reduce((sum, { isolate: { in_flight: count } }) => sum + count, 0);
  return { tasks, waits, inFlight };
}

test(`no task, wait or attempt remains of ${CLIENTS} clients that left in every phase`, { timeout: 180_000 }, () =>
  withIsolates({ intercept: true, object: false, models: { held: { targets: ["openai"], commit: "complete" } } }, async ({ simulator, gateway }) => {
    const [isolate] = gateway.isolates;
    await served(isolate);
    // A second after its start the isolate copies its routes document. The health request itself is
    // the one task.
    const before = { tasks: 1, waits: 0, inFlight: 0 };
    const isAtRest = async () => JSON.stringify(await stateOf(isolate)) === JSON.stringify(before);
    await eventually("the isolate is at rest", isAtRest);
    await simulator.fault("openai", { fault: { stall_after: 2 } });
    const at = new URL(isolate.url);
    const phases = [
      { body: {}, part: 0.5, ms: 5 }, // in the middle of the upload
      { body: {}, ms: 2 }, // before its answer
      { body: { stream: true }, ms: 2_000, answered: true }, // in the middle of the stream
      { body: { stream: true, model: "held" }, ms: 10 }, // while the stream is held
    ];
    let next = 0;
    let memory;
    const client = async () => {
      for (let number = next++; number < CLIENTS; number = next++) {
        const { body, part, ...until } = phases[number % phases.length];
        await leave(at, requestOf(at.host, textOf(body), { part }), until);
        if (number === CLIENTS / 2) memory = (await isolate.intercept()).memory_bytes;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    await eventually("nothing is left", isAtRest);
    const { memory_bytes: after } = await isolate.intercept();
    assert.ok(after <= memory + 256 * 1024, `the second half needs no more memory than the first: ${memory}, then ${after}`);
    await simulator.reset();
    await served(isolate);
    assert.deepEqual(gateway.logs.filter((line) => /uncaught|hung|trap|panic/i.test(line)), []);
  }));
