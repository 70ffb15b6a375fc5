// Takes the pictures of the page for the documentation: `node scripts/screenshots.mjs [NAME…]`.
// They go to docs/images. A gateway runs with simulated upstreams, traffic, and an outage of
// OpenAI.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startSimulator } from "../simulator/simulator.mjs";
import { startGateway } from "../tests/e2e/gateway.mjs";
import { ensureChromium, launchChromium } from "./chromium.mjs";
import { buildPage } from "./page.mjs";
import { startTraffic } from "./sample_traffic.mjs";
import { ensurePackages, main, restartOnOwnNode, root, say } from "./setup.mjs";
import { simulatedVars } from "./simulated.mjs";

const FOLDER = join(root, "docs/images");
/** How long traffic runs before the pictures, so that the charts have something to show. */
const TRAFFIC_MS = 75_000;

/** What is taken: a name, an address, and what has to be there. `clip` is the height in pixels. */
const PICTURES = [
  { name: "now", hash: "#/now", awaits: ".graph-tone-bad", width: 1440, clip: 1180 },
  { name: "deployment", hash: "#/now/openai", awaits: ".now-changes li", width: 1440, clip: 900 },
];

main(async () => {
  await ensurePackages();
  await restartOnOwnNode("scripts/screenshots.mjs");
  await ensureChromium();
  await buildPage();
  mkdirSync(FOLDER, { recursive: true });
  const names = process.argv.slice(2);
  const wanted = PICTURES.filter(({ name }) => names.length === 0 || names.includes(name));
  const simulator = await startSimulator();
  const vars = simulatedVars(simulator);
  const routes = readFileSync(join(root, "routes.json"), "utf8");
  const gateway = await startGateway({ routes, vars, registry: true, page: true });
  const browser = await launchChromium();
  const outage = { upstream: "openai", fault: "overloaded", for_ms: 2 * TRAFFIC_MS, every_ms: TRAFFIC_MS * 0.75 };
  const traffic = startTraffic({ url: gateway.url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url, pauseMs: 150, outage });
  try {
    say(`traffic for ${TRAFFIC_MS / 1000} s`);
    const opened = await Promise.all(wanted.map((picture) => open(browser, gateway, vars.ADMIN_TOKEN, picture)));
    await new Promise((resolve) => setTimeout(resolve, TRAFFIC_MS));
    for (const { page, name, awaits, width, clip } of opened) {
      await page.locator(awaits).first().waitFor();
      // An announcement would cover a part of the picture.
      await page.addStyleTag({ content: ".now-said { display: none }" });
      await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, clip: { x: 0, y: 0, width, height: clip } });
      say(`docs/images/${name}.png`);
    }
  } finally {
    traffic.stop();
    await browser.close();
    await gateway.close();
    await simulator.close();
  }
});

async function open(browser, gateway, token, picture) {
  const context = await browser.newContext({ viewport: { width: picture.width, height: 900 }, reducedMotion: "reduce" });
  await context.addInitScript((value) => sessionStorage.setItem("switchyard.token", value), token);
  const page = await context.newPage();
  await page.goto(`${gateway.url}/admin/${picture.hash}`);
  return { page, ...picture };
}
