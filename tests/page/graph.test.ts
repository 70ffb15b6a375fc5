// From a routes document to the boxes and arrows of the picture.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { conditionText } from "../../page/src/graph/condition_text.ts";
import { placeGraph } from "../../page/src/graph/graph_layout.ts";
import { partOf, waysOf } from "../../page/src/graph/graph_part.ts";
import { highlightOf } from "../../page/src/graph/highlight.ts";
import { readRouteGraph } from "../../page/src/graph/route_graph.ts";

const sample = readFileSync(new URL("../../routes.json", import.meta.url), "utf8");
const graphOf = (document: unknown) => readRouteGraph(JSON.stringify(document))!;
const arrows = (document: unknown) => graphOf(document).arrows.map(({ from, to, kind, label }) => `${from} -${kind}-> ${to}${label && `: ${label}`}`);
const deployments = { a: { provider: "openai", model: "m" }, b: { provider: "openai", model: "m" } };

test("targets have their place or their share, cases their condition, edges their classes", () => {
  const found = new Set(readRouteGraph(sample)!.arrows.map(({ from, to, kind, label }) => `${from} -${kind}-> ${to}: ${label}`));
  for (const expected of [
    "chat -target-> deployment:azure-eastus: 2",
    "chat-split -target-> deployment:openai: 70 %",
    "chat-prod -on-> deployment:openai: content_policy",
    "azure-only -target-> deployment:azure-embed: operation = embeddings",
    "azure-only -target-> models.azure-only.else: else",
    "rules[3] -rule-> chat-critical: ",
  ]) assert.ok(found.has(expected), expected);
});

test("targets of the same tier share by weight, and all classes to one destination are one arrow", () => {
  const models = {
    x: {
      targets: [{ use: "a", priority: 5, weight: 3 }, { use: "b", priority: 5, weight: 1 }, { use: { targets: ["a"] }, priority: 9 }],
      on: { quota: "b", rate_limit: "b" },
    },
  };
  assert.deepEqual(arrows({ deployments, models }), [
    "x -target-> deployment:a: 1: 75 %",
    "x -target-> deployment:b: 1: 25 %",
    "models.x.targets[2].use -target-> deployment:a",
    "x -target-> models.x.targets[2].use: 2",
    "x -on-> deployment:b: quota, rate_limit",
  ]);
});

test("a model may have the name of the deployment that it leads to", () => {
  assert.deepEqual(arrows({ deployments, models: { a: { targets: ["a"] }, y: { targets: ["a"] } } }), [
    "a -target-> deployment:a",
    "y -target-> a",
  ]);
});

test("names with dots have the path that the gateway writes", () => {
  const [arrow] = arrows({ deployments, models: { "gpt-4.1": { targets: [{ targets: ["b"] }] } } });
  assert.equal(arrow, 'models["gpt-4.1"].targets[0] -target-> deployment:b');
});

test("many rules with one destination share a box", () => {
  const rules = Array.from({ length: 40 }, (_, index) => ({ when: { path: `/${index}` }, ...(index === 7 ? { deny: {} } : { use: "x" }) }));
  const { boxes } = graphOf({ deployments, models: { x: { targets: ["a"] } }, rules });
  assert.deepEqual(boxes.filter(({ kind }) => kind === "rule").map(({ name, details }) => [name, ...details]), [
    ["39 rules", "path = /0", "path = /1", "and 37 more"],
    ["rule 8", "path = /7", "refused"],
  ]);
});

test("what is no document gives no graph, and what cannot be read is left out", () => {
  assert.equal(readRouteGraph("{"), undefined);
  assert.equal(readRouteGraph("[]"), undefined);
  const { boxes, arrows } = graphOf({ deployments: 5, models: { x: { targets: ["nowhere", 7, null] }, y: null }, rules: [null] });
  assert.deepEqual(boxes.map(({ id }) => id), ["rules[0]", "x", "y"]);
  assert.deepEqual(arrows, []);
});

test("conditions read as people would say them", () => {
  const cases: [unknown, string][] = [
    [{ path: "/ai/*", percent: 5, by: "client" }, "path = /ai/* and 5 % by client"],
    [{ header: { "x-tier": "gold" }, model: ["a", "b"] }, "x-tier = gold and model = a | b"],
    [{ any: [{ country: "DE" }, { metadata: { team: { exists: true } } }] }, "(country = DE or has metadata.team)"],
    [{ not: { body: { stream: true } }, input_tokens: { gte: 10, lt: 20 } }, "not (body.stream = true) and input_tokens >= 10 and input_tokens < 20"],
    [{ body: { messages: { contains: "secret" } } }, "body.messages contains secret"],
    ["nonsense", ""],
  ];
  for (const [when, text] of cases) assert.equal(conditionText(when), text);
});

test("boxes have room for their text and do not overlap, and arrows end at their boxes", () => {
  const { boxes, width, height, arrows } = placeGraph(readRouteGraph(sample)!);
  for (const [index, one] of boxes.entries()) {
    assert.ok(one.x >= 0 && one.y >= 0 && one.x + one.width <= width && one.y + one.height <= height, one.box.id);
    for (const other of boxes.slice(index + 1)) {
      const isApart = one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y;
      assert.ok(isApart, `${one.box.id} and ${other.box.id}`);
    }
  }
  for (const { path } of arrows) assert.doesNotMatch(path, /NaN|undefined/);
});

test("a circle in a document that is being edited can be drawn", () => {
  const graph = graphOf({ deployments, models: { x: { targets: ["y"] }, y: { targets: ["x", "a"] } } });
  assert.equal(placeGraph(graph).boxes.length, 4);
  assert.equal(partOf(graph, "x").boxes.length, 3);
});

test("a part has what leads to a box and what it leads to", () => {
  const ids = partOf(readRouteGraph(sample)!, "chat-split").boxes.map(({ id }) => id);
  assert.deepEqual(ids, ["rules[2]", "chat-split", "chat-prod", "deployment:openai", "deployment:azure-eastus"]);
});

test("the way between two boxes is the shortest without edges, if there is one", () => {
  const graph = readRouteGraph(sample)!;
  assert.deepEqual(waysOf(graph)("chat-prod", "deployment:openai"), ["chat-prod target chat-split", "chat-split target deployment:openai"]);
  assert.deepEqual(waysOf(graph)("embed", "deployment:openai"), []);
  const edged = graphOf({ deployments, models: { x: { targets: ["a"], on: { quota: "b" } } } });
  assert.deepEqual(waysOf(edged)("x", "deployment:b"), ["x on deployment:b"]);
});

test("an explanation marks what is tried, with the numbers of the attempts, and what is left out", () => {
  const graph = readRouteGraph(sample)!;
  const tree = [{ to: "chat-prod", node: { targets: [
    { to: "chat-split", node: { targets: [{ to: "azure-eastus", attempts: [1] }, { to: "openai", attempts: [2, 3] }] } },
    { to: "azure-westeurope", excluded: { kind: "drained", why: "an administrator drained it" } },
  ] } }];
  const { boxes, arrows } = highlightOf(graph, tree, 2);
  assert.equal(boxes.get("deployment:openai")?.badge, "2, 3");
  assert.deepEqual(boxes.get("deployment:azure-westeurope"), { tone: "out", why: "an administrator drained it" });
  assert.equal(boxes.get("rules[2]")?.tone, "way");
  assert.equal(arrows.get("chat-prod target chat-split"), "way");
  assert.equal(arrows.get("chat-prod target deployment:azure-westeurope"), "out");
  assert.equal(boxes.has("deployment:openai-mini"), false);
});
