// For test files that use one simulator and one gateway for all tests.

import { after, before, beforeEach } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { fleet } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

// Registers hooks that start and close a simulator and a gateway. `simulator` and `gateway` of the
// result are defined when the first test runs.
export function startServers() {
  const servers = {};
  before(async () => {
    servers.simulator = await startSimulator();
    servers.gateway = await startGateway(fleet(servers.simulator));
  });
  beforeEach(() => servers.simulator.reset());
  after(async () => {
    await servers.gateway?.close();
    await servers.simulator.close();
  });
  return servers;
}
