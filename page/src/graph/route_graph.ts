// From the text of a routes document to boxes and arrows.
//
// The document is read as it is written, with its `${NAME}`: it is not compiled here. One that the
// gateway serves is valid; of another one, what cannot be read is left out. The id of a box is the
// name by which an explanation calls it: of a node its name or its path (`models.chat.else`), of a
// deployment `deployment:NAME`.

import { conditionText } from "./condition_text.ts";

export type BoxKind = "rule" | "settings" | "model" | "inline" | "deployment";
export type ArrowKind = "rule" | "target" | "on";

export interface Box {
  id: string;
  kind: BoxKind;
  /** The name of a model or deployment; of another box, what it is. */
  name: string;
  /** What else is said of it, a line each. */
  details: string[];
}

export interface Arrow {
  id: string;
  from: string;
  to: string;
  /** Why a request goes this way. */
  kind: ArrowKind;
  /** The share, the place, the condition or the error classes; empty if nothing is to be said. */
  label: string;
}

export interface RouteGraph {
  boxes: Box[];
  arrows: Arrow[];
  /** The region of each deployment that has one, by its name. */
  regions: Map<string, string>;
}

/** With more rules, those with the same destination share a box. */
const MOST_RULE_BOXES = 12;

type Members = Record<string, unknown>;
const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const members = (value: unknown): Members => (isMembers(value) ? value : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown) => (typeof value === "string" ? value : "");

export const deploymentId = (name: string) => `deployment:${name}`;

/** The graph of a document; undefined if the text is no JSON object. */
export function readRouteGraph(document: string): RouteGraph | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(document);
  } catch {
    return undefined;
  }
  return isMembers(parsed) ? new Reader(parsed).read() : undefined;
}

class Reader {
  readonly #root: Members;
  readonly #models: Members;
  readonly #deployments: Members;
  readonly #boxes: Box[] = [];
  readonly #arrows = new Map<string, Arrow>();

  constructor(root: Members) {
    this.#root = root;
    this.#models = members(root["models"]);
    this.#deployments = members(root["deployments"]);
  }

  read(): RouteGraph {
    this.#rules();
    const settings = members(this.#root["settings"]);
    if (Object.keys(members(settings["on"])).length > 0) {
      this.#boxes.push({ id: "settings.on", kind: "settings", name: "settings.on", details: ["where no node has an edge"] });
      this.#edges("settings.on", settings["on"], "settings.on", "");
    }
    for (const [name, node] of Object.entries(this.#models)) {
      this.#node(members(node), { id: name, kind: "model", name, at: key("models", name), model: name });
    }
    const regions = new Map<string, string>();
    for (const [name, deployment] of Object.entries(this.#deployments)) {
      this.#boxes.push({ id: deploymentId(name), kind: "deployment", name, details: deploymentDetails(members(deployment)) });
      const region = text(members(deployment)["region"]);
      if (region !== "") regions.set(name, region);
    }
    const known = new Set(this.#boxes.map(({ id }) => id));
    const arrows = [...this.#arrows.values()].filter(({ from, to }) => known.has(from) && known.has(to));
    return { boxes: this.#boxes, arrows, regions };
  }

  #rules() {
    const rules = list(this.#root["rules"]).map(members);
    const isGrouped = rules.length > MOST_RULE_BOXES;
    const groups = new Map<string, { numbers: number[]; details: string[] }>();
    rules.forEach((rule, index) => {
      const at = `rules[${index}]`;
      const condition = conditionText(rule["when"]) || "always";
      const denial = isMembers(rule["deny"]) ? rule["deny"] : undefined;
      const to = denial ? undefined : this.#destination(rule["use"], `${at}.use`, "");
      if (!isGrouped) {
        const refusal = denial ? [`refused: ${text(denial["code"]) || "denied"}`] : [];
        this.#boxes.push({ id: at, kind: "rule", name: `rule ${index + 1}`, details: [condition, ...refusal] });
        if (to) this.#arrow(at, to, "rule", "");
        return;
      }
      const group = to ?? "";
      const known = groups.get(group) ?? { numbers: [], details: [] };
      groups.set(group, known);
      known.numbers.push(index + 1);
      if (known.details.length < 2) known.details.push(condition);
    });
    for (const [to, { numbers, details }] of groups) {
      const id = `rules→${to}`;
      const name = numbers.length === 1 ? `rule ${numbers[0]}` : `${numbers.length} rules`;
      const more = numbers.length > details.length ? [`and ${numbers.length - details.length} more`] : [];
      this.#boxes.push({ id, kind: "rule", name, details: [...details, ...more, ...(to ? [] : ["refused"])] });
      if (to) this.#arrow(id, to, "rule", "");
    }
  }

  #node(node: Members, place: { id: string; kind: BoxKind; name: string; at: string; model: string }) {
    const { id, kind, name, at, model } = place;
    this.#boxes.push({ id, kind, name, details: nodeDetails(node) });
    const targets = list(node["targets"]).map(readTarget);
    const labels = targetLabels(text(node["strategy"]) || "priority", targets);
    targets.forEach(({ to, isWrapped }, index) => {
      const place = `${at}.targets[${index}]${isWrapped ? ".use" : ""}`;
      this.#arrow(id, this.#destination(to, place, model), "target", labels[index] ?? "");
    });
    list(node["cases"]).map(members).forEach((one, index) => {
      this.#arrow(id, this.#destination(one["use"], `${at}.cases[${index}].use`, model), "target", conditionText(one["when"]));
    });
    if (node["else"] !== undefined) this.#arrow(id, this.#destination(node["else"], `${at}.else`, model), "target", "else");
    this.#edges(id, node["on"], `${at}.on`, model);
  }

  /** The edges of `on`, one arrow for each destination. */
  #edges(from: string, on: unknown, at: string, model: string) {
    const classes = new Map<string, string[]>();
    for (const [name, destination] of Object.entries(members(on))) {
      const to = this.#destination(destination, key(at, name), model);
      if (to) classes.set(to, [...(classes.get(to) ?? []), name]);
    }
    for (const [to, names] of classes) this.#arrow(from, to, "on", names.join(", "));
  }

  /**
   * The id of what a destination refers to. An inline node gets its box here. Within a model, its
   * own name is that of the deployment of the same name.
   */
  #destination(destination: unknown, at: string, model: string): string | undefined {
    if (isMembers(destination)) {
      this.#node(destination, { id: at, kind: "inline", name: text(destination["description"]) || shortPath(at), at, model });
      return at;
    }
    const name = text(destination);
    if (name !== model && Object.hasOwn(this.#models, name)) return name;
    return Object.hasOwn(this.#deployments, name) ? deploymentId(name) : undefined;
  }

  /** Two targets of a node may be the same: their labels then share an arrow. */
  #arrow(from: string, to: string | undefined, kind: ArrowKind, label: string) {
    if (!to) return;
    const id = `${from} ${kind} ${to}`;
    const known = this.#arrows.get(id);
    if (known) known.label = [known.label, label].filter(Boolean).join("; ");
    else this.#arrows.set(id, { id, from, to, kind, label });
  }
}

interface Target {
  to: unknown;
  isWrapped: boolean;
  weight: number;
  priority: number | undefined;
}

function readTarget(target: unknown): Target {
  if (isMembers(target) && target["use"] !== undefined) {
    const { use, weight, priority } = target;
    const number = (value: unknown) => (typeof value === "number" ? value : undefined);
    return { to: use, isWrapped: true, weight: number(weight) ?? 1, priority: number(priority) };
  }
  return { to: target, isWrapped: false, weight: 1, priority: undefined };
}

const WEIGHTED = new Set(["weighted", "load_balance", "random_weighted"]);
const IN_ORDER = new Set(["priority", "fallback"]);

/** The share by weight, or the place in the order, of each target. */
function targetLabels(strategy: string, targets: Target[]): string[] {
  const share = ({ weight }: Target, among: Target[]) => {
    const sum = among.reduce((total, { weight }) => total + weight, 0);
    return `${sum > 0 ? Math.round((weight / sum) * 100) : 0} %`;
  };
  if (WEIGHTED.has(strategy)) return targets.map((target) => share(target, targets));
  if (!IN_ORDER.has(strategy) || targets.length < 2) return targets.map(() => "");
  const tiers = targets.map(({ priority }, index) => priority ?? index);
  const order = [...new Set(tiers)].sort((one, other) => one - other);
  return targets.map((target, index) => {
    const tier = targets.filter((_, other) => tiers[other] === tiers[index]);
    const number = order.indexOf(tiers[index]!) + 1;
    return tier.length > 1 ? `${number}: ${share(target, tier)}` : `${number}`;
  });
}

function nodeDetails(node: Members): string[] {
  const strategy = text(node["strategy"]) || (node["cases"] === undefined ? "priority" : "match");
  const details = [strategy];
  if (typeof node["min_quality"] === "number") details.push(`quality from ${node["min_quality"]}`);
  const tags = list(node["require_tags"]).map(text);
  if (tags.length > 0) details.push(`only tags: ${tags.join(", ")}`);
  if (node["commit"] === "complete") details.push("commit: complete");
  if (node["hedge"] !== undefined) details.push("hedged");
  if (node["sticky"] !== undefined) details.push(`sticky by ${text(members(node["sticky"])["by"]) || "client"}`);
  if (node["cache"] !== undefined) details.push("keeps answers");
  return details;
}

function deploymentDetails(deployment: Members): string[] {
  const model = text(deployment["deployment"]) || text(deployment["model"]);
  const via = deployment["via"] === undefined ? "" : "via AI Gateway";
  return [model, [text(deployment["provider"]), text(deployment["region"]), via].filter(Boolean).join(" · ")].filter(Boolean);
}

/** A path of the document as the gateway writes it: `models["gpt-4.1"]`. */
function key(parent: string, name: string): string {
  return /^[A-Za-z0-9_$/-]+$/.test(name) ? `${parent}.${name}` : `${parent}[${JSON.stringify(name)}]`;
}

function shortPath(at: string): string {
  return at.replace(/^models\./, "").replace(/\.use$/, "");
}
