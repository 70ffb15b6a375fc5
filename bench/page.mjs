// `node bench/page.mjs`: what the page of /admin takes to appear on a slow processor, and what ten open
// pages cost the gateway. docs/benchmarks.md has the figures.
//
//   node bench/page.mjs              both, about 5 minutes
//   node bench/page.mjs --quick      a first look

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureChromium, launchChromium } from "../scripts/chromium.mjs";
import { buildPage } from "../scripts/page.mjs";
import { startTraffic } from "../scripts/sample_traffic.mjs";
import { ensurePackages, main, restartOnOwnNode, root, say } from "../scripts/setup.mjs";
import { simulatedVars } from "../scripts/simulated.mjs";
import { startSimulator } from "../simulator/simulator.mjs";
import { startGateway } from "../tests/e2e/gateway.mjs";
import { largeRoutes } from "./large-routes.mjs";
import { cpuOf } from "./process.mjs";

const PAGES = 10;
const SLOWER = 4;
const WITHIN_MS = 30_000;

main(async () => {
  const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
  await ensurePackages();
  await restartOnOwnNode("bench/page.mjs");
  await ensureChromium();
  const size = await buildPage();
  say(`first view: ${(size / 1024).toFixed(1)} KiB with gzip`);
  const sample = JSON.parse(readFileSync(join(root, "routes.json"), "utf8"));
  const browser = await launchChromium();
  try {
    for (const [name, routes] of [["the sample", sample], ["200 deployments and 500 rules", largeRoutes(sample)]]) {
      await withRunning(routes, async (running) => {
        await firstView(browser, running, name, values.quick ? 3 : 15);
        await polling(browser, running, name, values.quick ? 1 : 3, values.quick ? 10_000 : 30_000);
      });
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
  // No outages: what a page costs does not depend on them.
  const outage = { upstream: "eastus", fault: "overloaded", for_ms: 1, every_ms: 2 ** 30 };
  const traffic = startTraffic({ url: gateway.url, key: vars.SWITCHYARD_KEY, controlUrl: simulator.control.url, pauseMs: 50, outage });
  try {
    await use({ gateway, token: vars.ADMIN_TOKEN, pid: workerdPid() });
  } finally {
    traffic.stop();
    await gateway.close();
    await simulator.close();
  }
}

/** From the call of the address, with an empty cache, until the deployments and the graph are there. */
async function firstView(browser, { gateway, token }, name, rounds) {
  const painted = [];
  const complete = [];
  for (let round = 0; round < rounds; round += 1) {
    const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
    await context.addInitScript(prepare, token);
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    await page.goto(`${gateway.url}/admin/`);
    await page.waitForFunction(() => globalThis.completeAt !== undefined, undefined, { timeout: WITHIN_MS });
    complete.push(await page.evaluate(() => globalThis.completeAt));
    painted.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    await context.close();
  }
  say(`${name}: processor ${SLOWER} times slower, ${rounds} loads with an empty cache`);
  say(`  first paint:                    ${spread(painted)} ms`);
  say(`  states of all and graph there:  ${spread(complete)} ms`);
}

/** Runs in the page before its own scripts: signs in, and notes when everything is there. */
function prepare(token) {
  sessionStorage.setItem("switchyard.token", token);
  new MutationObserver((_, observer) => {
    if (!document.querySelector(".now-table tbody tr") || !document.querySelector(".graph .graph-box")) return;
    observer.disconnect();
    requestAnimationFrame(() => (globalThis.completeAt = performance.now()));
  }).observe(document, { childList: true, subtree: true });
}

/** The processor time of the gateway with and without open pages, in turns. */
async function polling(browser, { gateway, token, pid }, name, rounds, turnMs) {
  const context = await browser.newContext();
  await context.addInitScript(prepare, token);
  const pages = await Promise.all(Array.from({ length: PAGES }, () => context.newPage()));
  let calls = 0;
  context.on("request", (request) => (calls += /\/admin\/(api|metrics)/.test(request.url()) ? 1 : 0));
  const without = [];
  const open = [];
  const perSecond = [];
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(pages.map((page) => page.goto("about:blank")));
    without.push(await load(pid, turnMs));
    await Promise.all(pages.map((page) => page.goto(`${gateway.url}/admin/`)));
    await Promise.all(pages.map((page) => page.waitForFunction(() => globalThis.completeAt !== undefined, undefined, { timeout: 2 * WITHIN_MS })));
    calls = 0;
    open.push(await load(pid, turnMs));
    perSecond.push(calls / (turnMs / 1000));
  }
  await context.close();
  const cost = open.map((value, round) => value - without[round]);
  say(`${name}: ${PAGES} open pages, ${rounds} turns of ${turnMs / 1000} s with and without, 20 requests a second in both`);
  say(`  calls of the admin API a second: ${spread(perSecond, 1)}`);
  say(`  of a processor, without pages:   ${spread(without, 2)} %`);
  say(`  of a processor, for the pages:   ${spread(cost, 2)} %`);
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

/** The workerd that Miniflare has started: a child of this process. */
function workerdPid() {
  const children = readdirSync(`/proc/${process.pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${process.pid}/task/${task}/children`, "utf8").trim().split(" "),
  );
  const pid = children.find((child) => child && readFileSync(`/proc/${child}/cmdline`, "utf8").includes("workerd"));
  if (!pid) throw new Error("workerd is not among the children of this process: run this on Linux");
  return Number(pid);
}
