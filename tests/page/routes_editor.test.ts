// The editor of the routes document: where problems stand in the text, and what may stand at the
// cursor.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { jsonLanguage } from "@codemirror/lang-json";
import { ERROR_CLASSES, suggestionsAt } from "../../page/src/routes/document_completion.ts";
import { parsePath, pathAt, rangeOfIssue, sentence, type Issue } from "../../page/src/routes/document_places.ts";
import { boundsOf, descriptionAt, formsAt, type Schema } from "../../page/src/routes/schema_guide.ts";

const read = (path: string) => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8"));
const SCHEMA: Schema = read("routes.schema.json");

const DOCUMENT = `{
  "version": 1,
  "clients": { "app": { "key": "\${KEY}", "models": ["*"] } },
  "deployments": {
    "openai": { "provider": "openai", "api_key": "\${K}", "model": "gpt-4o" },
    "azure/east": { "provider": "azure", "deployment": "d", "endpoint": "\${E}", "api_key": "\${K}" }
  },
  "models": {
    "gpt-4.1": { "targets": ["openai", { "use": "azure/east", "weight": 0 }] },
    "näh \\"x\\"": { "targets": ["openai"] }
  }
}
`;

const marked = (text: string, path: string, found = "") => {
  const issue: Issue = { path, found, expected: "" };
  const { from, to } = rangeOfIssue(jsonLanguage.parser.parse(text), text, issue);
  return text.slice(from, to);
};

/** The suggestions at `|` in a text. */
function suggested(textWithCursor: string) {
  const position = textWithCursor.indexOf("|");
  const text = textWithCursor.replace("|", "");
  const found = suggestionsAt(SCHEMA, jsonLanguage.parser.parse(text), text, position);
  return found && { ...found, names: found.suggestions.map(({ name }) => name), replaced: text.slice(found.from, found.to) };
}

test("a path of an issue becomes steps", () => {
  for (const [path, steps] of [
    ["$", []],
    ["$schema", ["$schema"]],
    ["models.chat.targets[1].use", ["models", "chat", "targets", 1, "use"]],
    ['models["gpt-4.1"].targets[10]', ["models", "gpt-4.1", "targets", 10]],
    ['models["a \\"b\\" ]."].on["x"]', ["models", 'a "b" ].', "on", "x"]],
    ['models["n\\u{e4}h"]', ["models", "näh"]],
    ['models[""]', ["models", ""]],
    ["deployments.azure/east", ["deployments", "azure/east"]],
  ] as const) {
    assert.deepEqual(parsePath(path), steps, path);
  }
});

test("an issue is marked at its key, its value or its element", () => {
  assert.equal(marked(DOCUMENT, "version"), '"version": 1');
  assert.equal(marked(DOCUMENT, "deployments.openai.model"), '"model": "gpt-4o"');
  assert.equal(marked(DOCUMENT, 'models["gpt-4.1"].targets[0]'), '"openai"');
  assert.equal(marked(DOCUMENT, 'models["gpt-4.1"].targets[1].weight'), '"weight": 0');
  assert.equal(marked(DOCUMENT, 'models["gpt-4.1"].targets[1]'), "{");
  assert.equal(marked(DOCUMENT, 'models["gpt-4.1"]'), '"gpt-4.1"', "not all that is inside");
  assert.equal(marked(DOCUMENT, 'models["n\\u{e4}h \\"x\\""]'), '"näh \\"x\\""');
  assert.equal(marked(DOCUMENT, "$"), "{");
});

test("an issue about something that is missing is marked at what it is missing in", () => {
  assert.equal(marked(DOCUMENT, "deployments.openai.endpoint"), '"openai"');
  assert.equal(marked(DOCUMENT, 'models["gpt-4.1"].targets[7]'), '"targets"');
  assert.equal(marked(DOCUMENT, "settings.deadline_ms"), "{");
  assert.equal(marked("", "models"), "");
});

test("a text that is no JSON is marked where it ends to be JSON", () => {
  const text = '{\n  "ä": [1,]\n}';
  // Columns count bytes: `ä` has two.
  assert.equal(marked(text, "$", "trailing comma at line 2 column 12"), "]");
  assert.equal(marked(text, "$", "EOF while parsing an object at line 3 column 9"), "}");
  assert.equal(marked("", "$", "EOF while parsing a value at line 1 column 0"), "");
});

test("an issue has a place in a text that is not finished", () => {
  const text = '{ "version": 1, "models": { "chat": { "targets": ["opnai", ';
  assert.equal(marked(text, "models.chat.targets[0]"), '"opnai"');
});

test("an issue is a sentence or two", () => {
  const issue = { path: "models.m.targets[0]", found: '"opnai"', expected: "the name of a node" };
  assert.equal(sentence(issue), 'Found "opnai", expected the name of a node.');
  assert.equal(sentence({ ...issue, nearest: "openai", note: "until then it is disabled" }), 'Found "opnai", expected the name of a node. Did you mean "openai"? Until then it is disabled.');
  const text = { path: "$", found: "trailing comma at line 2 column 12", expected: "JSON" };
  assert.equal(sentence(text), "No JSON: trailing comma at line 2 column 12.");
});

test("keys of the schema are suggested, without those that are there", () => {
  const found = suggested('{ "deployments": { "a": { "provider": "azure", | } } }');
  assert.ok(found?.names.includes("endpoint") && found.names.includes("api_key"));
  assert.ok(!found.names.includes("provider"), "it is there already");
  const endpoint = found.suggestions.find(({ name }) => name === "endpoint");
  assert.equal(endpoint?.text, '"endpoint": "#{}"');
  assert.match(endpoint?.description ?? "", /^For `openai`: the base URL/);
  assert.equal(found.suggestions.find(({ name }) => name === "tags")?.text, '"tags": [#{}]');
  assert.equal(found.suggestions.find(({ name }) => name === "cost")?.text, '"cost": { #{} }');
});

test("a key that is being written is replaced, and its value stays", () => {
  const empty = suggested('{ "models": { "m": { "ta|" } } }');
  assert.equal(empty?.replaced, '"ta"');
  assert.ok(empty?.names.includes("targets"));
  const named = suggested('{ "models": { "m": { "ta|rget": ["x"] } } }');
  assert.equal(named?.suggestions.find(({ name }) => name === "targets")?.text, '"targets"');
});

test("required keys say so", () => {
  const found = suggested("{ | }");
  const required = found?.suggestions.filter(({ detail }) => detail === "required").map(({ name }) => name);
  assert.deepEqual(required, ["deployments", "models", "version"]);
});

test("fixed values are suggested, also in place of one that is there", () => {
  assert.deepEqual(suggested('{ "deployments": { "a": { "provider": "|" } } }')?.names.sort(), ["azure", "openai"]);
  const strategies = suggested('{ "models": { "m": { "strategy": "wei|" } } }');
  assert.ok(strategies?.names.includes("weighted"));
  assert.equal(strategies?.suggestions.find(({ name }) => name === "weighted")?.description, "A random draw by weight.");
  assert.deepEqual(suggested('{ "clients": { "a": { "allow_keys": | } } }')?.names, ["true", "false"]);
});

test("names that the document defines are suggested where they are used", () => {
  const at = (models: string, rest = "") =>
    suggested(`{ "clients": { "app": {}, "batch": {} }, "deployments": { "openai": {}, "azure/east": {} }, "models": { "mini": {}, ${models} }${rest} }`);
  const targets = ["openai", "azure/east", "mini"];
  assert.deepEqual(at('"chat": { "targets": ["|"] }')?.names, targets, "not itself");
  assert.deepEqual(at('"chat": { "targets": [|] }')?.names, targets);
  assert.deepEqual(at('"chat": { "targets": ["openai", |] }')?.names, targets);
  assert.deepEqual(at('"chat": { "targets": [{ "use": "|" }] }')?.names, targets);
  assert.deepEqual(at('"chat": { "on": { "quota": "|" } }')?.names, targets);
  assert.deepEqual(at('"chat": { "else": "|" }')?.names, targets);
  assert.deepEqual(at('"chat": {}', ', "rules": [{ "when": {}, "use": "|" }]')?.names, ["mini", "chat"]);
  assert.deepEqual(at('"chat": {}', ', "rules": [{ "when": { "client": "|" } }]')?.names, ["app", "batch"]);
  assert.deepEqual(at('"chat": {}', ', "rules": [{ "when": { "any": [{ "model": { "in": ["|"] } }] } }]')?.names, ["mini", "chat"]);
});

test("error classes are suggested as edges and as triggers, all that the gateway has", () => {
  const described = read("docs/admin-api.openapi.json").components.schemas.ErrorClass.enum;
  assert.deepEqual([...ERROR_CLASSES].sort(), [...described].sort());
  assert.deepEqual(suggested('{ "models": { "m": { "on": { | } } } }')?.names, ERROR_CLASSES);
  assert.deepEqual(suggested('{ "models": { "m": { "on": { "quota": "x", "|" } } } }')?.names, ERROR_CLASSES.filter((name) => name !== "quota"));
  assert.deepEqual(suggested('{ "models": { "m": { "retry": { "on": ["|"] } } } }')?.names, ERROR_CLASSES);
});

test("nothing is suggested where nothing may begin", () => {
  for (const text of ['{ "version": 1 | }', '{ "a" | }', '{ "version": 1 }|', '{ "models": {} | }', '{ "models": "x"| }']) {
    assert.equal(suggested(text), undefined, text);
  }
});

test("a hint says what a key means where it is used", () => {
  const tree = jsonLanguage.parser.parse(DOCUMENT);
  const at = pathAt(tree, DOCUMENT, DOCUMENT.indexOf('"weight"') + 3);
  assert.deepEqual(at?.path, ["models", "gpt-4.1", "targets", 1, "weight"]);
  assert.match(descriptionAt(SCHEMA, at.path) ?? "", /^The share of the traffic/);
  assert.equal(descriptionAt(SCHEMA, ["models", "x", "deadline_ms"]), "The most time below this node.");
  assert.equal(boundsOf(formsAt(SCHEMA, ["models", "x", "max_attempts"])), "1 to 64");
  assert.equal(pathAt(tree, DOCUMENT, 1), undefined);
});
