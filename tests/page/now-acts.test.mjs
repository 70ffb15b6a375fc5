// What an administrator does to deployments in the view "Now", and what a viewer cannot do.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, chat, rowOf, withPage } from "./browser.mjs";
import { countClicks } from "./clicks.mjs";

test("a deployment is drained and enabled by the keyboard alone, with a reason in the log of acts", async () => {
  await withPage({}, async ({ page, gateway }) => {
    const drain = rowOf(page, "azure-eastus").getByRole("button", { name: "Drain azure-eastus" });
    await drain.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Drain azure-eastus?" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await rowOf(page, "azure-eastus").getByText("serving").waitFor();
    await drain.focus();
    await page.keyboard.press("Enter");
    await assertAccessible(page);
    await page.getByLabel("Reason").focus();
    await page.keyboard.type("maintenance ✓");
    await page.keyboard.press("Enter");
    await rowOf(page, "azure-eastus").getByText("drained", { exact: true }).waitFor();
    await page.getByRole("status").filter({ hasText: "drained" }).waitFor();
    const audit = await gateway.fetch("/admin/api/audit", { headers: { authorization: "Bearer admin-local" } });
    assert.match(await audit.text(), /maintenance ✓/);
    await rowOf(page, "azure-eastus").getByRole("button", { name: "Enable azure-eastus" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Enable" }).focus();
    await page.keyboard.press("Enter");
    await rowOf(page, "azure-eastus").getByText("serving").waitFor();
  });
});

test("a region is drained with one choice and two clicks, and enabled again", async (t) => {
  await withPage({}, async ({ page, gateway }) => {
    const ofEastus = ["azure-eastus", "azure-embed"];
    const count = await countClicks(page);
    await page.getByLabel("Region").selectOption("eastus");
    await rowOf(page, "azure-embed").waitFor();
    assert.equal(await rowOf(page, "azure-westeurope").count(), 0);
    await page.getByRole("button", { name: "Drain eastus", exact: true }).click();
    const dialog = page.getByRole("dialog", { name: "Drain 2 deployments of eastus?" });
    await dialog.getByText("For each of them: azure-eastus, azure-embed.").waitFor();
    await assertAccessible(page);
    await dialog.getByRole("button", { name: "Drain" }).click();
    for (const name of ofEastus) await rowOf(page, name).getByText("drained", { exact: true }).waitFor();
    const clicks = await count();
    t.diagnostic(`clicks to drain a region: ${clicks}, and one choice of the region`);
    assert.equal(clicks, 2);
    assert.equal(await page.getByRole("button", { name: "Drain eastus", exact: true }).count(), 0, "nothing is left to drain");
    await page.getByLabel("Region").selectOption("");
    await rowOf(page, "openai").getByText("serving").waitFor();
    const health = await (await gateway.fetch("/admin/api/health", { headers: { authorization: "Bearer admin-local" } })).json();
    const drained = health.deployments.filter(({ isolate }) => isolate.gate.state === "drained").map(({ deployment }) => deployment);
    assert.deepEqual(drained.sort(), ofEastus);
    await page.getByLabel("Region").selectOption("eastus");
    await page.getByRole("button", { name: "Enable eastus", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Enable" }).click();
    for (const name of ofEastus) await rowOf(page, name).getByText("serving").waitFor();
  });
});

test("a drill is begun and ended on the page of a deployment", async () => {
  await withPage({ path: "#/now/openai" }, async ({ page, gateway }) => {
    await page.getByRole("heading", { level: 1, name: "openai" }).waitFor();
    await page.getByRole("button", { name: "Drill" }).click();
    await page.getByLabel("What its attempts get").selectOption("500");
    await page.getByLabel("Share of the attempts").fill("100");
    await page.getByRole("button", { name: "Begin the drill" }).click();
    await page.getByText(/Drill: 500 for 100 % of the attempts/).waitFor();
    for (let sent = 0; sent < 6; sent += 1) assert.equal(await chat(gateway), 200);
    await page.getByText("ejected").first().waitFor();
    const changes = page.getByRole("region", { name: "Changes of its state" });
    await changes.getByText("ejected").waitFor();
    await page.getByRole("button", { name: "End the drill" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End the drill" }).click();
    await page.getByText(/Drill: 500/).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Reset" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Reset" }).click();
    await changes.getByText("serving").waitFor();
    await page.getByRole("link", { name: "All deployments" }).click();
    await page.getByRole("heading", { level: 1, name: "Now" }).waitFor();
  });
});

test("who may only look sees everything, and learns what an act needs", async () => {
  await withPage({ token: "viewer-local" }, async ({ page, gateway }) => {
    await rowOf(page, "openai").getByRole("button", { name: "Drain openai" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Drain", exact: true }).click();
    await page.getByRole("dialog").getByRole("alert").filter({ hasText: "This needs ADMIN_TOKEN" }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    const health = await gateway.fetch("/admin/api/health", { headers: { authorization: "Bearer viewer-local" } });
    const { deployments } = await health.json();
    assert.equal(deployments.find(({ deployment }) => deployment === "openai").isolate.gate.state, "closed");
  });
});
