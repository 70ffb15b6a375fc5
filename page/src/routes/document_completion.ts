// What may stand at the cursor of the editor: keys and values of the schema, and names that the
// document itself defines.

import { cursorAt, namesIn, type Cursor, type Step, type Tree } from "./document_places.ts";
import { constantsOf, formsAt, keysOfForms, type Schema } from "./schema_guide.ts";

export interface Suggestion {
  /** The name of the key, or the value without quotes. */
  name: string;
  /** What is written in the document. `#{}` is where the cursor goes. */
  text: string;
  kind: "property" | "constant" | "variable";
  /** A word beside it: `required`, or what a name is the name of. */
  detail?: string;
  description?: string;
}

export interface Suggestions {
  /** The range that a suggestion replaces. */
  from: number;
  to: number;
  isQuoted: boolean;
  suggestions: Suggestion[];
}

/** Names of error classes, as edges (`on`) and triggers have them. */
export const ERROR_CLASSES = [
  "rate_limit", "quota", "unavailable", "timeout", "connection", "auth", "not_found", "context_window", "content_policy",
  "bad_request", "truncated",
];

const CONDITION = /(^|\.)(when|not|(all|any)\[\d+\])\.(client|model|operation)(\[\d+\]|\.(is|not|in\[\d+\]))?$/;

/** What may stand at a position of the text. */
export function suggestionsAt(schema: Schema, tree: Tree, text: string, position: number): Suggestions | undefined {
  const cursor = cursorAt(tree, text, position);
  if (!cursor) return undefined;
  const word = /[\w$./@+-]*$/.exec(text.slice(0, position))?.[0] ?? "";
  const from = cursor.token?.from ?? position - word.length;
  const to = cursor.token?.to ?? position;
  const suggestions = cursor.kind === "key" ? keys(schema, cursor) : values(schema, cursor, tree, text);
  if (suggestions.length === 0) return undefined;
  return { from, to, isQuoted: text[from] === '"', suggestions };
}

function keys(schema: Schema, cursor: Cursor): Suggestion[] {
  const forms = formsAt(schema, cursor.path);
  const isFree = (name: string) => !cursor.siblings.includes(name);
  const ending = (forms: Schema[]) => (cursor.hasValue ? "" : `: ${emptyValue(forms)}`);
  const named = keysOfForms(schema, forms)
    .filter(({ name }) => isFree(name))
    .map(({ name, description, isRequired, forms }): Suggestion => ({
      name,
      text: JSON.stringify(name) + ending(forms),
      kind: "property",
      ...(isRequired && { detail: "required" }),
      description,
    }));
  if (cursor.path.at(-1) !== "on" || named.length > 0) return named;
  return ERROR_CLASSES.filter(isFree).map((name) => ({
    name,
    text: JSON.stringify(name) + (cursor.hasValue ? "" : ': "#{}"'),
    kind: "property",
    detail: "error class",
  }));
}

function values(schema: Schema, cursor: Cursor, tree: Tree, text: string): Suggestion[] {
  const named = namesAt(cursor.path, tree, text).map(({ name, detail }): Suggestion => ({
    name,
    text: JSON.stringify(name),
    kind: "variable",
    detail,
  }));
  if (named.length > 0) return named;
  return constantsOf(formsAt(schema, cursor.path)).map(({ value, description }) => ({
    name: value.replaceAll('"', ""),
    text: value,
    kind: "constant",
    description,
  }));
}

/** The names that a value at this path may be. */
function namesAt(path: Step[], tree: Tree, text: string): { name: string; detail: string }[] {
  const place = path.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("").slice(1);
  const names = (section: string, detail: string) => namesIn(tree, text, section).map((name) => ({ name, detail }));
  const nodes = () => names("models", "node");
  const own = path[0] === "models" ? path[1] : undefined;
  const targets = () => [...names("deployments", "deployment"), ...nodes().filter(({ name }) => name !== own)];
  if (/^rules\[\d+\]\.use$/.test(place)) return nodes();
  if (/(^|\.)(targets\[\d+\](\.use)?|cases\[\d+\]\.use|else|on\.[^.[]+)$/.test(place)) return targets();
  if (/(^|\.)(retry\.on|fallback_on)\[\d+\]$/.test(place)) {
    return ERROR_CLASSES.map((name) => ({ name, detail: "error class" }));
  }
  if (/^clients\..*models\[\d+\]$/.test(place) || /(^|\.)limits\[\d+\]\.models\[\d+\]$/.test(place)) {
    return [...nodes(), { name: "*", detail: "all nodes" }];
  }
  const condition = CONDITION.exec(place)?.[4];
  if (condition === "client") return names("clients", "client");
  if (condition === "model") return nodes();
  return [];
}

/** What stands behind a new key at first. */
function emptyValue(forms: Schema[]): string {
  const types = forms.map(({ type, const: value }) => type ?? typeof value);
  if (types.includes("object") && !types.includes("string")) return "{ #{} }";
  if (types.includes("array") && !types.includes("string")) return "[#{}]";
  if (types.every((type) => type === "string")) return '"#{}"';
  return "#{}";
}
