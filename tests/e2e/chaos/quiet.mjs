// A run without any fault: clients that disturb, and bystanders. Every bystander must be served by
// the first target, and no deployment may be ejected.

import { setTimeout as wait } from "node:timers/promises";
import { startSimulator } from "../../../simulator/simulator.mjs";
import { chat, fleet, readChatStream, trail } from "../document.mjs";
import { startGateway } from "../gateway.mjs";
import { ADMIN_TOKEN } from "../isolates.mjs";
import { answerDisturbers, BUFFER_BYTES, Disturbers, IS_OF_DISTURBERS } from "./disturbers.mjs";
import { healthOf, openGates } from "./gates.mjs";
import { Random } from "./random.mjs";

const DISTURBERS_PER_ISOLATE = 6;
const BYSTANDERS_PER_ISOLATE = 2;
const LOOK_MS = 250;

// Runs for `ms` milliseconds, or until `isEnough` is true for the violations, and resolves with the
// report. `fault`: a fault of the first target for the bystanders, to show that the checks can fail.
export async function runQuiet({ seed, ms, isolates = 2, fault, isEnough = () => false }) {
  const random = new Random(seed);
  const simulator = await startSimulator();
  const models = { whole: { targets: ["openai", "azure-eastus"], commit: "complete" } };
  const settings = { buffer_bytes: BUFFER_BYTES };
  const gateway = await startGateway({ ...fleet(simulator, { models, settings, vars: { ADMIN_TOKEN } }), isolates });
  const violations = [];
  const onViolation = (what, details = {}) => violations.push({ what, ...details });
  const until = Date.now() + ms;
  const isOver = () => Date.now() >= until || isEnough(violations);
  let served = 0;
  const bystander = async (isolate) => {
    while (!isOver()) {
      served += 1;
      const [content, stream] = [`echo bystander ${served}`, served % 2 === 0];
      const response = await chat(isolate, { stream, messages: [{ role: "user", content }], model: served % 3 ? "chat" : "whole" });
      const text = await response.text();
      const answer = response.status !== 200 || !stream ? text : readChatStream(text).text;
      if (response.status !== 200 || !answer.includes(`hello from openai/gpt-4o: ${content.slice(5)}`)) {
        onViolation("a bystander was not served by the first target", { status: response.status, trail: trail(response), answer });
      }
      await wait(20);
    }
  };
  const watch = async () => {
    while (!isOver()) {
      await wait(LOOK_MS);
      for (const gate of await openGates(gateway)) {
        if (!IS_OF_DISTURBERS.test(gate.operation)) onViolation("ejected without a fault", gate);
      }
      for (const [isolate, { deployment, isolate: known }] of await healthOf(gateway)) {
        if (known.failures > 0) onViolation("a counted failure without a fault", { isolate, deployment, known });
      }
    }
  };
  try {
    await answerDisturbers(simulator);
    if (fault) await simulator.fault("openai", { fault, when: { contains: "bystander" } });
    const disturbers = new Disturbers({ gateway, isOver, onViolation });
    const bystanders = gateway.isolates.flatMap((isolate) => Array.from({ length: BYSTANDERS_PER_ISOLATE }, () => bystander(isolate)));
    await Promise.all([disturbers.run(random, DISTURBERS_PER_ISOLATE), watch(), ...bystanders]);
    return { served, disturbers: disturbers.counts, violations };
  } finally {
    await gateway.close();
    await simulator.close();
  }
}
