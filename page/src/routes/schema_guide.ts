// What the schema of the routes document says about a place in it.
//
// A place may have several forms: a target is a name, an object with a weight, or a node. All forms
// that could be meant count, because an unfinished document does not say which one it will be.

import type { Step } from "./document_places.ts";

/** JSON Schema, as far as `routes.schema.json` uses it. */
export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  description?: string;
  type?: string;
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minimum?: number;
  maximum?: number;
}

export interface KeyGuide {
  name: string;
  description: string;
  isRequired: boolean;
  forms: Schema[];
}

/** All forms that the value at a path may have. References and alternatives are followed. */
export function formsAt(schema: Schema, path: Step[]): Schema[] {
  let forms = expanded(schema, schema);
  for (const step of path) forms = forms.flatMap((form) => below(schema, form, step));
  return forms;
}

/** The description of a place: what is written where it is used, else of its type. */
export function descriptionAt(schema: Schema, path: Step[]): string | undefined {
  const last = path.at(-1);
  if (last === undefined) return schema.description;
  for (const form of formsAt(schema, path.slice(0, -1))) {
    const found = direct(form, last);
    if (!found) continue;
    const description = found.description ?? referenced(schema, found).description;
    if (description) return unwrapped(description);
  }
  return undefined;
}

/** The keys that an object with these forms may have, by name. */
export function keysOfForms(schema: Schema, forms: Schema[]): KeyGuide[] {
  const found = new Map<string, KeyGuide>();
  for (const form of forms) {
    for (const [name, value] of Object.entries(form.properties ?? {})) {
      const known = found.get(name);
      const isRequired = form.required?.includes(name) ?? false;
      if (known) {
        known.forms.push(...expanded(schema, value));
        known.isRequired = known.isRequired && isRequired;
      } else {
        const description = unwrapped(value.description ?? referenced(schema, value).description ?? "");
        found.set(name, { name, description, isRequired, forms: expanded(schema, value) });
      }
    }
  }
  return [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The fixed values among the forms. */
export function constantsOf(forms: Schema[]): { value: string; description: string }[] {
  const found = new Map<string, string>();
  for (const { const: value, type, description = "" } of forms) {
    if (typeof value === "string") found.set(JSON.stringify(value), unwrapped(description));
    else if (type === "boolean") for (const word of ["true", "false"]) found.set(word, "");
  }
  return [...found].map(([value, description]) => ({ value, description }));
}

/** The bounds of a number, in words: `1 to 64`. */
export function boundsOf(forms: Schema[]): string | undefined {
  const number = forms.find(({ type }) => type === "integer" || type === "number");
  if (!number) return undefined;
  const { minimum, maximum } = number;
  const written = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: 20 });
  if (minimum !== undefined && maximum !== undefined) return `${written(minimum)} to ${written(maximum)}`;
  return minimum === undefined ? undefined : `at least ${written(minimum)}`;
}

function below(root: Schema, form: Schema, step: Step): Schema[] {
  const found = direct(form, step);
  return found ? expanded(root, found) : [];
}

/** The schema of a key or an element, before references are followed. */
function direct(form: Schema, step: Step): Schema | undefined {
  if (typeof step === "number") return form.items;
  const named = form.properties && Object.hasOwn(form.properties, step) ? form.properties[step] : undefined;
  if (named) return named;
  return typeof form.additionalProperties === "object" ? form.additionalProperties : undefined;
}

function referenced(root: Schema, schema: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  return (name !== undefined && root.$defs?.[name]) || schema;
}

/** A schema as forms without references and alternatives. */
function expanded(root: Schema, schema: Schema): Schema[] {
  const found = referenced(root, schema);
  const alternatives = found.anyOf ?? found.oneOf;
  return alternatives ? alternatives.flatMap((alternative) => expanded(root, alternative)) : [found];
}

/** Descriptions are written in lines of a fixed width. Only an empty line ends a paragraph. */
function unwrapped(description: string): string {
  return description.replace(/([^\n])\n(?!\n)/g, "$1 ");
}
