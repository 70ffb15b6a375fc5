// The way of one request on the graph, from the tree of an explanation
// (`course.tree` of POST /admin/api/explain).

import { deploymentId, type RouteGraph } from "./route_graph.ts";

/** A target of the tree, as far as it is drawn. */
export interface PlannedTarget {
  to: string;
  edge?: string;
  excluded?: { kind: string; why: string };
  attempts?: number[];
  node?: { targets: PlannedTarget[] };
}

/** What is said of a box on the way. */
export interface BoxNote {
  /** `way`: requests come through. `out`: it is left out. `idle`: nothing goes there. */
  tone: "way" | "out" | "idle";
  /** The numbers of the attempts, such as `1, 3`. */
  badge?: string;
  /** Why it is left out. */
  why?: string;
}

export interface Highlight {
  boxes: Map<string, BoxNote>;
  arrows: Map<string, "way" | "out">;
}

/** `rule` is the index of the rule that chose the entry. */
export function highlightOf(graph: RouteGraph, tree: PlannedTarget[], rule: number | null = null): Highlight {
  const ids = new Set(graph.boxes.map(({ id }) => id));
  const highlight: Highlight = { boxes: new Map(), arrows: new Map() };
  const idOf = ({ to, node }: PlannedTarget) => (node && ids.has(to) ? to : deploymentId(to));

  const visit = (target: PlannedTarget, parent: string | undefined): boolean => {
    const id = idOf(target);
    const below = (target.node?.targets ?? []).map((next) => visit(next, id));
    const isTried = (target.attempts?.length ?? 0) > 0 || below.includes(true);
    note(highlight.boxes, id, {
      tone: isTried ? "way" : target.excluded ? "out" : "idle",
      ...(target.attempts?.length ? { badge: target.attempts.join(", ") } : {}),
      ...(target.excluded && !isTried ? { why: target.excluded.why } : {}),
    });
    const kinds = target.edge === undefined ? ["target"] : ["on"];
    const arrow = graph.arrows.find(({ from, to, kind }) => from === parent && to === id && kinds.includes(kind));
    if (arrow && (isTried || target.excluded) && highlight.arrows.get(arrow.id) !== "way") {
      highlight.arrows.set(arrow.id, isTried ? "way" : "out");
    }
    return isTried;
  };

  for (const entry of tree) visit(entry, entry.edge === undefined ? undefined : "settings.on");
  const entry = tree.find(({ edge }) => edge === undefined);
  if (rule !== null && entry) {
    const arrow = graph.arrows.find(
      ({ from, to, kind }) => kind === "rule" && to === idOf(entry) && (from === `rules[${rule}]` || from === `rules→${to}`),
    );
    if (arrow) {
      highlight.arrows.set(arrow.id, "way");
      highlight.boxes.set(arrow.from, { tone: "way" });
    }
  }
  return highlight;
}

/** A box may be in the tree more than once: what is tried there counts. */
function note(boxes: Highlight["boxes"], id: string, next: BoxNote) {
  const known = boxes.get(id);
  if (!known || (next.tone === "way" && known.tone !== "way")) {
    boxes.set(id, next);
  } else if (next.badge && known.badge) {
    boxes.set(id, { ...known, badge: `${known.badge}, ${next.badge}` });
  } else if (next.badge) {
    boxes.set(id, { ...known, badge: next.badge });
  } else if (next.tone === "out" && known.tone === "idle") {
    boxes.set(id, next);
  }
}
