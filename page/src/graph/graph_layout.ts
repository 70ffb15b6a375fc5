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
const PADDING = 12;
const LONGEST = 26;
const LONGEST_LABEL = 24;
/** A deployment has one more line, for its state. */
const STATE_LINES = 1;
/** Beyond so many boxes, a faster way to rank them, which makes a slightly wider picture. */
const MANY_BOXES = 150;

export function placeGraph({ boxes, arrows }: RouteGraph): Placed {
  const graph = new Graph({ multigraph: true });
  const ranker = boxes.length > MANY_BOXES ? "longest-path" : "network-simplex";
  graph.setGraph({ rankdir: "LR", nodesep: 14, ranksep: 70, edgesep: 8, marginx: 8, marginy: 8, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  const lines = new Map(boxes.map((box) => [box.id, boxLines(box)]));
  for (const box of boxes) {
    const own = lines.get(box.id)!;
    const longest = Math.max(...own.map((line) => line.length), box.kind === "deployment" ? 20 : 8);
    const count = own.length + (box.kind === "deployment" ? STATE_LINES : 0);
    graph.setNode(box.id, { width: longest * CHARACTER + 2 * PADDING, height: count * LINE + PADDING });
  }
  for (const arrow of arrows) {
    const text = cut(arrow.label, LONGEST_LABEL);
    const size = text === "" ? {} : { width: text.length * CHARACTER, height: LINE, labelpos: "c" };
    graph.setEdge(arrow.from, arrow.to, { minlen: 1, weight: arrow.kind === "on" ? 1 : 3, ...size }, arrow.id);
  }
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const finite = (value: number) => (Number.isFinite(value) ? Math.ceil(value) : 0);
  return {
    width: finite(width),
    height: finite(height),
    boxes: boxes.map((box) => {
      const { x, y, width, height } = graph.node(box.id) as Point & { width: number; height: number };
      return { box, x: x - width / 2, y: y - height / 2, width, height, lines: lines.get(box.id)! };
    }),
    arrows: arrows.map((arrow) => {
      const edge = graph.edge({ v: arrow.from, w: arrow.to, name: arrow.id }) as { points: Point[]; x?: number; y?: number };
      const middle = edge.points[Math.floor(edge.points.length / 2)]!;
      return {
        arrow,
        path: smooth(edge.points),
        label: { x: edge.x ?? middle.x, y: edge.y ?? middle.y },
        text: cut(arrow.label, LONGEST_LABEL),
      };
    }),
  };
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
