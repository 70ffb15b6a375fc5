// The gates of the deployments, as the isolates see them.

import { admin } from "../isolates.mjs";

// Every gate that is not closed, of a deployment or of one of its operations:
// [{isolate, deployment, operation?, reason}].
export async function openGates(gateway) {
  const found = [];
  for (const [isolate, { deployment, isolate: known }] of await healthOf(gateway)) {
    const gates = [[undefined, known.gate], ...known.missing];
    for (const [operation, { state, reason }] of gates) {
      if (state !== "closed") found.push({ isolate, deployment, operation, reason });
    }
  }
  return found;
}

// What each isolate knows of each deployment: [[isolate, entry of the health answer]].
export async function healthOf(gateway) {
  const all = gateway.isolates.map(async (isolate, index) => {
    const response = await admin(isolate, "health", { method: "GET" });
    return (await response.json()).deployments.map((entry) => [index, entry]);
  });
  return (await Promise.all(all)).flat();
}
