// A part of a graph: a box with all that leads to it and all that it leads to. A large document is
// looked at in parts.

import type { Arrow, RouteGraph } from "./route_graph.ts";

/** Up to so many boxes are shown at once without being asked for. */
export const MOST_BOXES_AT_ONCE = 80;

export function partOf({ boxes, arrows, regions }: RouteGraph, id: string): RouteGraph {
  const kept = new Set([...reach(id, arrows, "from", "to"), ...reach(id, arrows, "to", "from")]);
  const isKept = ({ from, to }: Arrow) => kept.has(from) && kept.has(to);
  return { boxes: boxes.filter((box) => kept.has(box.id)), arrows: arrows.filter(isKept), regions };
}

function reach(start: string, arrows: Arrow[], near: "from" | "to", far: "from" | "to"): Set<string> {
  const next = new Map<string, string[]>();
  for (const arrow of arrows) next.set(arrow[near], [...(next.get(arrow[near]) ?? []), arrow[far]]);
  const reached = new Set([start]);
  for (const id of reached) for (const to of next.get(id) ?? []) reached.add(to);
  return reached;
}

/**
 * Finds the arrows on the shortest way from one box to another, and of equally short ones the first
 * in the document. `on` edges count only if nothing else leads there. Empty if nothing does.
 */
export function waysOf({ arrows }: RouteGraph): (from: string, to: string) => string[] {
  const leaving = new Map<string, Arrow[]>();
  for (const arrow of arrows) leaving.set(arrow.from, [...(leaving.get(arrow.from) ?? []), arrow]);
  const found = new Map<string, string[]>();
  return (from, to) => {
    const key = `${from}\n${to}`;
    const way = found.get(key) ?? search(leaving, from, to);
    found.set(key, way);
    return way;
  };
}

function search(leaving: Map<string, Arrow[]>, from: string, to: string): string[] {
  for (const hasEdges of [false, true]) {
    const cameBy = new Map<string, Arrow | undefined>([[from, undefined]]);
    for (const [id] of cameBy) {
      for (const arrow of leaving.get(id) ?? []) {
        if ((hasEdges || arrow.kind !== "on") && !cameBy.has(arrow.to)) cameBy.set(arrow.to, arrow);
      }
    }
    const way: string[] = [];
    for (let step = cameBy.get(to); step; step = cameBy.get(step.from)) way.unshift(step.id);
    if (way.length > 0) return way;
  }
  return [];
}
