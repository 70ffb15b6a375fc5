// Opens the page of a real gateway, with simulated upstreams, in Chromium.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { launchChromium } from "../../scripts/chromium.mjs";
import { root } from "../../scripts/setup.mjs";
import { simulatedVars } from "../../scripts/simulated.mjs";
import { startSimulator } from "../../simulator/simulator.mjs";
import { startGateway } from "../e2e/gateway.mjs";

const KEY = "sk-switchyard-local";
const SAMPLE = readFileSync(join(root, "routes.json"), "utf8");

// One browser for all tests of a file. Each test has a context of its own, as a private window.
let launched;
after(async () => (await launched)?.close());

/**
 * Starts a simulator and a gateway, opens `/admin` as somebody who has signed in, and passes all of
 * it to `use`. Fails if a script of the page threw, if the Content-Security-Policy forbade
 * something, or if the page called another host: that holds for every test.
 *
 * - `routes`, `vars`, `isolates`, `object`, `registry`: as for `startGateway`. The document is the
 *   sample by default; its variables are those of the simulator.
 * - `token`: the token of this tab; `null` shows the form.
 * - `path`: what stands after `/admin/`.
 */
export async function withPage(options, use) {
  const { routes = SAMPLE, vars = {}, isolates = 1, object = true, registry = true, path = "", ...look } = options;
  const simulator = await startSimulator();
  const allVars = { ...simulatedVars(simulator), VIEWER_TOKEN: "viewer-local", ...vars };
  let gateway;
  try {
    gateway = await startGateway({ routes, vars: allVars, isolates, object, registry, page: true });
    await withOpenPage(gateway, path, look, (opened) => use({ ...opened, gateway, simulator }));
  } finally {
    await gateway?.close();
    await simulator.close();
  }
}

/** Opens the page of a gateway that runs. */
export async function withOpenPage(gateway, path, { viewport, colorScheme, token = "admin-local" }, use) {
  launched ??= launchChromium();
  const browser = await launched;
  const context = await browser.newContext({
    viewport: viewport ?? { width: 1600, height: 1000 },
    colorScheme: colorScheme ?? "light",
    reducedMotion: "reduce",
    // Whatever the language of the machine is: some have one that browsers do not know.
    locale: "en-US",
  });
  context.setDefaultTimeout(15_000);
  try {
    if (token !== null) {
      await context.addInitScript((value) => sessionStorage.setItem("switchyard.token", value), token);
    }
    const page = await context.newPage();
    const faults = watch(page, new URL(gateway.url).origin);
    const url = `${gateway.url}/admin/`;
    await page.goto(url + path);
    await use({ page, url });
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

/** What no view may do, as texts. */
function watch(page, origin) {
  const faults = [];
  page.on("pageerror", (error) => faults.push(`a script threw: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    const called = new URL(request.url());
    if (called.origin !== origin && called.protocol !== "data:") faults.push(`a request to ${called.origin}`);
  });
  return faults;
}

/** Sends a chat request to the gateway as the client of the sample. Resolves with its status. */
export async function chat(gateway, body = {}) {
  const response = await gateway.fetch("/v1/chat/completions", {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "chat", messages: [{ role: "user", content: "Hello" }], ...body }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** The row of a table that has a link of that name. */
export const rowOf = (page, name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

/** Has an upstream of the simulator fail. */
export function setFault(simulator, upstream, fault, rest = {}) {
  const body = JSON.stringify({ upstream, fault, ...rest });
  return fetch(`${simulator.control.url}/faults`, { method: "POST", body });
}

/** Asserts that axe finds nothing serious on the page. */
export async function assertAccessible(page) {
  const source = readFileSync(join(root, "node_modules/axe-core/axe.min.js"), "utf8");
  await page.evaluate(source);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, help, nodes }) => ({ id, help, at: nodes.slice(0, 3).map(({ html, failureSummary }) => ({ html: html.slice(0, 200), failureSummary })) }));
  });
  assert.deepEqual(violations, []);
}

/**
 * Asserts that the page does not scroll sideways. What is wider has a box of its own that scrolls.
 */
export async function assertNoSidewaysScroll(page) {
  const width = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(width.content <= width.window, `${width.content} pixels of content in a window of ${width.window}`);
}
