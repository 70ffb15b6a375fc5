// Places in the text of a routes document: where a path such as `models.chat.targets[1]` stands,
// and which path a position has.
//
// It reads the syntax tree of the editor, which exists for any text, also for one that is not
// finished. So a problem has a place while somebody types.

import type { syntaxTree } from "@codemirror/language";

export type Tree = ReturnType<typeof syntaxTree>;
export type SyntaxNode = Tree["topNode"];

/** A step: the key of an object, or the index of a list. */
export type Step = string | number;

export interface TextRange {
  from: number;
  to: number;
}

/** What the gateway says about a document: docs/admin-api.openapi.json, `Issue`. */
export interface Issue {
  path: string;
  found: string;
  expected: string;
  code?: string;
  nearest?: string;
  note?: string;
}

/** Where the cursor is: inside or before a key, or inside or before a value. */
export interface Cursor {
  kind: "key" | "value";
  /** The path of the object around the key, or of the value. */
  path: Step[];
  /** The key or value that is there already. */
  token: SyntaxNode | undefined;
  /** For a key: whether a value follows. */
  hasValue: boolean;
  /** For a key: the other keys of the object. */
  siblings: string[];
}

/** How the gateway says where a text is no JSON. */
const POSITION = /at line (\d+) column (\d+)$/;
const SCALARS = ["String", "Number", "True", "False", "Null"];
const VALUES = [...SCALARS, "Object", "Array"];

/** Reads a path as issues have it: `models["gpt-4.1"].targets[1]`; `$` is the document. */
export function parsePath(path: string): Step[] {
  const steps: Step[] = [];
  const step = /\.?([A-Za-z0-9_$/-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/gy;
  for (let found = step.exec(path); found; found = step.exec(path)) {
    const [, key, index, quoted] = found;
    if (key !== undefined) {
      if (!(key === "$" && found.index === 0)) steps.push(key);
    } else if (index !== undefined) steps.push(Number(index));
    else if (quoted !== undefined) steps.push(unquoted(quoted));
  }
  return steps;
}

/** The text of a key as the gateway quotes it, with escapes such as `\u{e4}`. */
function unquoted(quoted: string): string {
  const asJson = quoted.replace(/\\u\{([0-9a-f]+)\}|\\'/gi, (escape, code?: string) =>
    code === undefined ? escape.slice(1) : JSON.stringify(String.fromCodePoint(Number.parseInt(code, 16))).slice(1, -1),
  );
  return textOf(asJson) ?? quoted.slice(1, -1);
}

/**
 * The range to mark for a path: a key with its simple value, the key alone if its value is an object
 * or a list, an element of a list. Of what does not exist, the innermost thing around it.
 */
export function rangeOf(tree: Tree, text: string, path: Step[]): TextRange {
  let node = child(tree.topNode, VALUES);
  let range: TextRange = { from: node?.from ?? 0, to: Math.min((node?.from ?? 0) + 1, text.length) };
  for (const step of path) {
    if (!node) break;
    const found = typeof step === "number" ? element(node, step) : property(node, step, text);
    if (!found) break;
    const value = typeof step === "number" ? found : child(found, VALUES);
    const name = typeof step === "number" ? undefined : child(found, ["PropertyName"]);
    node = value;
    if (value && SCALARS.includes(value.name)) range = { from: (name ?? value).from, to: value.to };
    else if (name) range = { from: name.from, to: name.to };
    else if (value) range = { from: value.from, to: value.from + 1 };
  }
  return range;
}

/** The range to mark for an issue. Text that is no JSON is named by line and column. */
export function rangeOfIssue(tree: Tree, text: string, issue: Issue): TextRange {
  const position = issue.path === "$" ? POSITION.exec(issue.found) : null;
  if (!position) return rangeOf(tree, text, parsePath(issue.path));
  const at = offsetOf(text, Number(position[1]), Number(position[2]));
  return at < text.length ? { from: at, to: at + 1 } : { from: Math.max(0, text.length - 1), to: text.length };
}

/** An issue in a sentence or two. */
export function sentence({ path, found, expected, nearest, note }: Issue): string {
  const isText = path === "$" && POSITION.test(found);
  const said = isText ? `No ${expected}: ${found}.` : `Found ${found}, expected ${expected}.`;
  return said + (nearest ? ` Did you mean ${JSON.stringify(nearest)}?` : "") + (note ? ` ${note[0]?.toUpperCase()}${note.slice(1)}.` : "");
}

/** The offset of a line and a column, both from 1; the column counts bytes of UTF-8. */
function offsetOf(text: string, line: number, column: number): number {
  let start = 0;
  for (let count = 1; count < line; count += 1) {
    const end = text.indexOf("\n", start);
    if (end < 0) return text.length;
    start = end + 1;
  }
  let bytes = 0;
  let at = start;
  for (const character of text.slice(start, start + column)) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes >= column || character === "\n") break;
    at += character.length;
  }
  return at;
}

/** Where a position is; `undefined` if there can be neither a key nor a value. */
export function cursorAt(tree: Tree, text: string, position: number): Cursor | undefined {
  let node: SyntaxNode | null = tree.resolveInner(position, -1);
  if (position === node.to && (node.name === "}" || node.name === "]")) return undefined;
  // Behind a key or a value that is complete there is a comma or a colon to come.
  if (position === node.to && SCALARS.includes(node.name) && node.name === "String") return undefined;
  while (node && !["PropertyName", ...SCALARS, "Property", "Object", "Array", "JsonText"].includes(node.name)) {
    node = node.parent;
  }
  if (!node) return undefined;
  const parent = node.parent;
  if (node.name === "PropertyName" && parent) {
    if (position === node.to) return undefined;
    const around = parent.parent;
    return key(around ?? parent, text, node, child(parent, VALUES) !== undefined);
  }
  if (SCALARS.includes(node.name)) return { ...value(node, text), token: node };
  if (node.name === "Property") {
    const name = child(node, ["PropertyName"]);
    if (!name || !text.slice(name.to, position).includes(":")) return undefined;
    const existing = child(node, VALUES);
    if (existing && existing.to < position) return undefined;
    return { kind: "value", path: pathOf(node, text), token: undefined, hasValue: false, siblings: [] };
  }
  if (node.name === "Object") return afterSeparator(text, position, node.from, "{,") ? key(node, text, undefined, false) : undefined;
  if (node.name === "Array") {
    if (!afterSeparator(text, position, node.from, "[,")) return undefined;
    const before = elements(node).filter((item) => item.to <= position).length;
    return { kind: "value", path: [...pathOf(node, text), before], token: undefined, hasValue: false, siblings: [] };
  }
  return undefined;
}

/** The path of the key or value at a position, for a hint about it. */
export function pathAt(tree: Tree, text: string, position: number): { path: Step[]; range: TextRange } | undefined {
  let node: SyntaxNode | null = tree.resolveInner(position, 1);
  while (node && node.name !== "PropertyName" && !SCALARS.includes(node.name)) {
    if (node.name === "Object" || node.name === "Array" || node.name === "JsonText") return undefined;
    node = node.parent;
  }
  if (!node) return undefined;
  const range = { from: node.from, to: node.to };
  const path = node.name === "PropertyName" ? (node.parent ? pathOf(node.parent, text) : []) : pathOf(node, text);
  return { path, range };
}

/** The names that the document defines in a section such as `models`. */
export function namesIn(tree: Tree, text: string, section: string): string[] {
  const document = child(tree.topNode, ["Object"]);
  const found = document && property(document, section, text);
  const entries = found && child(found, ["Object"]);
  return entries ? keysOf(entries, text) : [];
}

function key(object: SyntaxNode, text: string, token: SyntaxNode | undefined, hasValue: boolean): Cursor {
  const own = token && textOf(text.slice(token.from, token.to));
  const siblings = keysOf(object, text).filter((name) => name !== own);
  return { kind: "key", path: pathOf(object, text), token, hasValue, siblings };
}

function value(node: SyntaxNode, text: string): Omit<Cursor, "token"> {
  return { kind: "value", path: pathOf(node, text), hasValue: true, siblings: [] };
}

/** The path of a value or of a property. */
function pathOf(node: SyntaxNode, text: string): Step[] {
  const path: Step[] = [];
  for (let here: SyntaxNode | null = node; here; here = here.parent) {
    const parent: SyntaxNode | null = here.parent;
    if (here.name === "Property") {
      const name = child(here, ["PropertyName"]);
      path.unshift(name ? (textOf(text.slice(name.from, name.to)) ?? "") : "");
    } else if (parent?.name === "Array") {
      const from = here.from;
      path.unshift(elements(parent).findIndex((item) => item.from === from));
    }
  }
  return path;
}

function keysOf(object: SyntaxNode, text: string): string[] {
  return children(object)
    .filter(({ name }) => name === "Property")
    .flatMap((item) => {
      const name = child(item, ["PropertyName"]);
      const found = name && textOf(text.slice(name.from, name.to));
      return found === undefined ? [] : [found];
    });
}

function property(object: SyntaxNode, key: string, text: string): SyntaxNode | undefined {
  return children(object).find((item) => {
    const name = item.name === "Property" && child(item, ["PropertyName"]);
    return name && textOf(text.slice(name.from, name.to)) === key;
  });
}

function element(array: SyntaxNode, index: number): SyntaxNode | undefined {
  return elements(array)[index];
}

function elements(array: SyntaxNode): SyntaxNode[] {
  return array.name === "Array" ? children(array).filter(({ name }) => VALUES.includes(name)) : [];
}

function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let item = node.firstChild; item; item = item.nextSibling) found.push(item);
  return found;
}

function child(node: SyntaxNode, names: string[]): SyntaxNode | undefined {
  return children(node).find(({ name }) => names.includes(name));
}

/** Whether the last character before a position, but for spaces, is one of these. */
function afterSeparator(text: string, position: number, from: number, separators: string): boolean {
  const before = text.slice(from, position).trimEnd().at(-1);
  return before !== undefined && separators.includes(before);
}

function textOf(json: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    return typeof parsed === "string" ? parsed : undefined;
  } catch {
    return undefined;
  }
}
