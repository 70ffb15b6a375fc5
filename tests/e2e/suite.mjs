// The servers of a test file that needs one simulator and one gateway for all of its tests.

import { after, before, beforeEach } from "node:test";
import { startSimulator } from "../../simulator/simulator.mjs";
import { fleet } from "./document.mjs";
import { startGateway } from "./gateway.mjs";

// Registers their start and their end. They are there once the first test runs: `here.simulator`, `here.gateway`.
export function serve() {
  const here = {};
  before(async () => {
    here.simulator = await startSimulator();
    here.gateway = await startGateway(fleet(here.simulator));
  });
  beforeEach(() => here.simulator.reset());
  after(async () => {
    await here.gateway?.close();
    await here.simulator.close();
  });
  return here;
}
