// Where the boxes and arrows of a graph stand: columns from left to right, from the rules to the
// deployments.
//
// Pure: the size of a text is estimated from its length, so a layout is the same in every browser.

import { Graph, layout } from "@dagrejs/dagre";
import type { Arrow, Box, RouteGraph } from "./route_graph.ts";

export interface Point {
  x: number;
  y: number;
}

/** A box with its upper left corner. */
export interface PlacedBox extends Point {
  box: Box;
  width: number;
  height: number;
  /** Its lines, cut to its width: the first one is the name. */
  lines: string[];
}

export interface PlacedArrow {
  arrow: Arrow;
  /** The data of an SVG path. */
  path: string;
  /** The middle of the label. */
  label: Point;
  /** The label, cut to what there is room for. */
  text: string;
}

export interface Placed {
  width: number;
  height: number;
  boxes: PlacedBox[];
  arrows: PlacedArrow[];
}

export const LINE = 17;
const CHARACTER = 7;
const BOLD = 8;
const PADDING = 12;
const MARGIN = 10;
const LONGEST = 26;
const LONGEST_LABEL = 24;
/** A deployment has one more line, for its state. */
const STATE_LINES = 1;
/** Every deployment leads to it, so that they stand in one column. It is not drawn. */
const END = "end";
/** Beyond so many boxes, a faster way to rank them, which makes a slightly wider picture. */
const MANY_BOXES = 150;

export function placeGraph({ boxes, arrows }: RouteGraph): Placed {
  const graph = new Graph({ multigraph: true });
  const ranker = boxes.length > MANY_BOXES ? "longest-path" : "network-simplex";
  graph.setGraph({ rankdir: "LR", nodesep: 10, ranksep: 80, edgesep: 4, marginx: MARGIN, marginy: MARGIN, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  const lines = new Map(boxes.map((box) => [box.id, boxLines(box)]));
  for (const box of boxes) {
    const own = lines.get(box.id)!;
    const width = Math.max(...own.map((line, index) => line.length * (index === 0 ? BOLD : CHARACTER)), box.kind === "deployment" ? 140 : 56);
    const count = own.length + (box.kind === "deployment" ? STATE_LINES : 0);
    graph.setNode(box.id, { width: width + 2 * PADDING, height: count * LINE + PADDING });
  }
  for (const arrow of arrows) {
    const text = cut(arrow.label, LONGEST_LABEL);
    const size = text === "" ? {} : { width: text.length * CHARACTER, height: LINE, labelpos: "c" };
    graph.setEdge(arrow.from, arrow.to, { minlen: 1, weight: arrow.kind === "on" ? 1 : 3, ...size }, arrow.id);
  }
  graph.setNode(END, { width: 0, height: 0 });
  for (const { id, kind } of boxes) {
    if (kind === "deployment") graph.setEdge(id, END, { minlen: 1, weight: 100 }, `${id} ${END}`);
  }
  layout(graph);
  const placed = new Map<string, PlacedBox>();
  for (const box of boxes) {
    const { x, y, width, height } = graph.node(box.id) as Point & { width: number; height: number };
    placed.set(box.id, { box, x: x - width / 2, y: y - height / 2, width, height, lines: lines.get(box.id)! });
  }
  const ways = arrows.map((arrow) => {
    const edge = graph.edge({ v: arrow.from, w: arrow.to, name: arrow.id }) as { points: Point[]; x?: number; y?: number };
    return { arrow, points: edge.points, label: edge.x === undefined ? undefined : { x: edge.x, y: edge.y ?? 0 } };
  });
  attach(ways, placed);
  const all = [...placed.values()];
  return {
    width: Math.ceil(Math.max(0, ...all.map(({ x, width }) => x + width)) + MARGIN),
    height: Math.ceil(Math.max(0, ...all.map(({ y, height }) => y + height), ...ways.flatMap(({ points }) => points.map(({ y }) => y))) + MARGIN),
    boxes: all,
    arrows: ways.map(({ arrow, points, label }) => ({
      arrow,
      path: smooth(points),
      label: label ?? points[Math.floor(points.length / 2)] ?? { x: 0, y: 0 },
      text: cut(arrow.label, LONGEST_LABEL),
    })),
  };
}

interface Way {
  arrow: Arrow;
  points: Point[];
}

/**
 * Has arrows leave at the right side of their box and arrive at the left side, each at a place of
 * its own, in the order in which they come. Arrows that lead back keep their points.
 */
function attach(ways: Way[], boxes: Map<string, PlacedBox>) {
  const forward = ways.filter(({ arrow: { from, to } }) => {
    const [start, end] = [boxes.get(from)!, boxes.get(to)!];
    return start.x + start.width < end.x;
  });
  const spread = (side: "from" | "to", own: number, next: number, x: (box: PlacedBox) => number) => {
    const groups = new Map<string, Way[]>();
    for (const way of forward) groups.set(way.arrow[side], [...(groups.get(way.arrow[side]) ?? []), way]);
    for (const [id, group] of groups) {
      const box = boxes.get(id)!;
      group.sort((one, other) => one.points.at(next)!.y - other.points.at(next)!.y);
      group.forEach(({ points }, index) => {
        points[own < 0 ? points.length - 1 : 0] = { x: x(box), y: box.y + (box.height * (index + 1)) / (group.length + 1) };
      });
    }
  };
  spread("from", 0, 1, (box) => box.x + box.width);
  spread("to", -1, -2, (box) => box.x);
}

function boxLines({ name, details }: Box): string[] {
  return [name, ...details].map((line) => cut(line, LONGEST));
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** A curve through the points that leaves and arrives level. */
function smooth(points: Point[]): string {
  const [first, ...rest] = points;
  if (!first) return "";
  let path = `M${round(first.x)},${round(first.y)}`;
  let from = first;
  for (const to of rest) {
    const middle = (from.x + to.x) / 2;
    path += `C${round(middle)},${round(from.y)} ${round(middle)},${round(to.y)} ${round(to.x)},${round(to.y)}`;
    from = to;
  }
  return path;
}

const round = (value: number) => Math.round(value * 10) / 10;
