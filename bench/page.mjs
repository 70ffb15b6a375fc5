// `node bench/page.mjs`: what the page of /admin takes to appear on a slow processor, and what ten
// open pages cost the gateway. docs/benchmarks.md has the figures.
//
//   node bench/page.mjs                  both, about 10 minutes
//   node bench/page.mjs --quick          a first look
//   node bench/page.mjs --only view      how fast it appears; `polling`: what open pages cost

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureChromium, launchChromium } from "../scripts/chromium.mjs";
import { buildPage } from "../scripts/page.mjs";
import { startTraffic } from "../scripts/sample_traffic.mjs";
import { ensurePackages, main, restartOnOwnNode, root, say } from "../scripts/setup.mjs";
import { simulatedVars } from "../scripts/simulated.mjs";
import { startSimulator } from "../simulator/simulator.mjs";
import { startGateway } from "../tests/e2e/gateway.mjs";
import { ownWorker } from "./builds.mjs";
import { largeRoutes } from "./large-routes.mjs";
import { cpuOf } from "./process.mjs";
import { startWorkerd } from "./workerd.mjs";

const PAGES = 10;
const SLOWER = 4;
const WITHIN_MS = 30_000;
const WARM_UP_MS = 5_000;
/** What an open page calls, and how often: page/src/now/gateway_watch.ts. */
const POLLED = [["/admin/api/health", 5_000], ["/admin/metrics", 10_000], ["/admin/api/routes", 15_000]];
/** Twenty requests a second, without outages. */
const STEADY = { pauseMs: 50, outage: { upstream: "eastus", fault: "overloaded", for_ms: 1, every_ms: 2 ** 30 } };

main(async () => {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, only: { type: "string" } } });
  const isWanted = (part) => values.only === undefined || values.only === part;
  await ensurePackages();
  await restartOnOwnNode("bench/page.mjs");
  await ensureChromium();
  const size = await buildPage();
  say(`first view: ${(size / 1024).toFixed(1)} KiB with gzip`);
  const sample = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
  const browser = await launchChromium();
  try {
    for (const [name, routes] of [["the sample", sample], ["200 deployments and 500 rules", largeRoutes(sample)]]) {
      if (isWanted("view")) await withRunning(routes, (running) => firstView(browser, running, name, values.quick ? 3 : 15));
      if (isWanted("polling")) await polling(routes, name, values.quick ? 1 : 5, values.quick ? 10_000 : 20_000);
    }
  } finally {
    await browser.close();
  }
});

/** Starts a gateway with twenty requests a second. */
async function withRunning(routes, use) {
  const simulator = await startSimulator();
  const vars = simulatedVars(simulator);
  const gateway = await startGateway({ routes, vars, registry: true, page: true });
  const traffic = startTraffic({ url: gateway.url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url, ...STEADY });
  try {
    await use({ gateway, token: vars.ADMIN_TOKEN });
  } finally {
    traffic.stop();
    await gateway.close();
    await simulator.close();
  }
}

/**
 * From the call of the address, with an empty cache, until the deployments and the graph are there.
 */
async function firstView(browser, { gateway, token }, name, rounds) {
  const painted = [];
  const states = [];
  const complete = [];
  const worked = [];
  for (let round = 0; round < rounds; round += 1) {
    const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
    await context.addInitScript(prepare, token);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    // The time that the thread had the processor: other programs of the machine do not count.
    await session.send("Performance.enable", { timeDomain: "threadTicks" });
    await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    await page.goto(`${gateway.url}/admin/`);
    await page.waitForFunction(() => globalThis.completeAt !== undefined, undefined, { timeout: WITHIN_MS });
    states.push(await page.evaluate(() => globalThis.statesAt));
    complete.push(await page.evaluate(() => globalThis.completeAt));
    const { metrics } = await session.send("Performance.getMetrics");
    worked.push(metrics.find(({ name }) => name === "TaskDuration").value * 1000);
    painted.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    await context.close();
  }
  say(`${name}: processor ${SLOWER} times slower, ${rounds} loads with an empty cache`);
  say(`  first paint:                    ${spread(painted)} ms`);
  say(`  the states of all deployments:  ${spread(states)} ms`);
  say(`  the graph, too:                 ${spread(complete)} ms`);
  say(`  work of the page until then:    ${spread(worked)} ms of a processor`);
}

/** Runs in the page before its own scripts: signs in, and notes when what is there. */
function prepare(token) {
  sessionStorage.setItem("switchyard.token", token);
  new MutationObserver((_, observer) => {
    const hasStates = document.querySelector(".now-table tbody tr") !== null;
    if (hasStates) requestAnimationFrame(() => (globalThis.statesAt ??= performance.now()));
    if (!hasStates || !document.querySelector(".graph .graph-box")) return;
    observer.disconnect();
    requestAnimationFrame(() => (globalThis.completeAt = performance.now()));
  }).observe(document, { childList: true, subtree: true });
}

/**
 * The processor time of the gateway with and without open pages, in turns. It runs on plain
 * workerd, and the calls are those of the view "Now", without browsers: these would compete for the
 * processors.
 */
async function polling(routes, name, rounds, turnMs) {
  const simulator = await startSimulator();
  const vars = simulatedVars(simulator);
  const gateway = await startWorkerd({ ...ownWorker(), routes, vars });
  const traffic = startTraffic({ url: gateway.url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url, ...STEADY });
  const without = [];
  const open = [];
  const perCall = [];
  try {
    await load(gateway.pid, WARM_UP_MS);
    for (let round = 0; round < rounds; round += 1) {
      without.push(await load(gateway.pid, turnMs));
      const pages = openPages(gateway.url, vars.ADMIN_TOKEN);
      open.push(await load(gateway.pid, turnMs));
      pages.close();
      perCall.push(((open.at(-1) - without.at(-1)) / 100) * (turnMs / pages.calls()));
    }
  } finally {
    traffic.stop();
    await gateway.stop();
    await simulator.close();
  }
  say(`${name}: ${PAGES} open pages, ${rounds} turns of ${turnMs / 1000} s with and without, 20 requests a second in both`);
  say(`  of a processor, without pages:  ${spread(without, 2)} %`);
  say(`  of a processor, for the pages:  ${spread(open.map((value, round) => value - without[round]), 2)} %`);
  say(`  a call of a page:               ${spread(perCall, 2)} ms of a processor`);
}

/** The calls of the view "Now" of all pages, each beginning at another moment. */
function openPages(url, token) {
  let calls = 0;
  const timers = [];
  const headers = { authorization: `Bearer ${token}` };
  const call = (path) => {
    calls += 1;
    fetch(url + path, { headers }).then((response) => response.arrayBuffer()).catch(() => {});
  };
  for (const [path, pauseMs] of POLLED) {
    for (let page = 0; page < PAGES; page += 1) {
      const begin = () => {
        call(path);
        timers.push(setInterval(call, pauseMs, path));
      };
      timers.push(setTimeout(begin, (pauseMs * page) / PAGES));
    }
  }
  return { calls: () => calls, close: () => timers.forEach(clearInterval) };
}

/** The part of one processor that a process uses, in percent. */
async function load(pid, ms) {
  const [from, cpu] = [performance.now(), cpuOf(pid)];
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ((cpuOf(pid) - cpu) / 1e6 / (performance.now() - from)) * 100;
}

/** The median, the least and the greatest. */
function spread(values, digits = 0) {
  const sorted = [...values].sort((one, other) => one - other);
  const [median, least, most] = [sorted[Math.floor(sorted.length / 2)], sorted[0], sorted.at(-1)];
  return `${median.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;
}
