// The graph as a picture, with the live state of deployments and the traffic on the arrows, or with
// the way of one request.
//
// Deployments are links, so that the keyboard reaches them. The picture has its natural size; what
// is wider than its place scrolls in a box of its own.

import { useMemo } from "preact/hooks";
import { percent } from "../format.ts";
import { LINE, placeGraph, type PlacedArrow, type PlacedBox } from "./graph_layout.ts";
import type { Highlight } from "./highlight.ts";
import type { RouteGraph } from "./route_graph.ts";
import type { Tone } from "./tone.ts";

/** What the last line of a deployment says. */
export interface DeploymentMark {
  tone: Tone;
  /** The state in a word. */
  state: string;
  /** Its share of all attempts, from 0 to 1, if there were any. */
  share?: number | undefined;
}

interface RoutePictureProps {
  graph: RouteGraph;
  /** What the picture is called for those who do not see it. */
  label: string;
  markOf?: (deployment: string) => DeploymentMark | undefined;
  /** The share of the traffic on an arrow, from 0 to 1. */
  shareOf?: (arrow: string) => number | undefined;
  /** Where a deployment leads. Without it, deployments are no links. */
  hrefOf?: (deployment: string) => string;
  /** The name of the deployment that is looked at. */
  selected?: string | undefined;
  highlight?: Highlight | undefined;
}

export function RoutePicture({ graph, label, markOf, shareOf, hrefOf, selected, highlight }: RoutePictureProps) {
  const placed = useMemo(() => placeGraph(graph), [graph]);
  return (
    // A box that scrolls has to be reached by the keyboard, too.
    <div class="graph-scroll" tabIndex={0} role="region" aria-label={label}>
      <svg class={highlight ? "graph graph-traced" : "graph"} width={placed.width} height={placed.height} viewBox={`0 0 ${placed.width} ${placed.height}`}>
        <defs>
          {["plain", "way", "out"].map((kind) => (
            <marker key={kind} id={`graph-head-${kind}`} class={`graph-head-${kind}`} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
              <path d="M0,0L8,4L0,8z" />
            </marker>
          ))}
        </defs>
        <g aria-hidden="true">
          {placed.arrows.map((one) => (
            <ArrowLine key={one.arrow.id} placed={one} share={shareOf?.(one.arrow.id)} trace={highlight?.arrows.get(one.arrow.id)} />
          ))}
        </g>
        {placed.boxes.map((one) => (
          <BoxShape key={one.box.id} placed={one} mark={one.box.kind === "deployment" ? markOf?.(one.box.name) : undefined} href={one.box.kind === "deployment" ? hrefOf?.(one.box.name) : undefined} isSelected={one.box.kind === "deployment" && one.box.name === selected} highlight={highlight} />
        ))}
      </svg>
    </div>
  );
}

function ArrowLine({ placed, share, trace }: { placed: PlacedArrow; share: number | undefined; trace: "way" | "out" | undefined }) {
  const { arrow, path, label, text } = placed;
  const width = share ? 1.5 + 5 * Math.sqrt(share) : 1.25;
  const classes = ["graph-arrow", `graph-arrow-${arrow.kind}`, share ? "graph-arrow-busy" : "", trace ? `graph-trace-${trace}` : ""];
  const said = [arrow.label, share ? `${percent(share)} of the traffic` : ""].filter(Boolean).join(", ");
  return (
    <g class={classes.filter(Boolean).join(" ")}>
      <path d={path} style={{ strokeWidth: width }} marker-end={`url(#graph-head-${trace ?? "plain"})`}>
        {said && <title>{said}</title>}
      </path>
      {text && (
        <text x={label.x} y={label.y + 4} text-anchor="middle">
          {text}
          {text !== arrow.label && <title>{arrow.label}</title>}
        </text>
      )}
    </g>
  );
}

interface BoxShapeProps {
  placed: PlacedBox;
  mark: DeploymentMark | undefined;
  href: string | undefined;
  isSelected: boolean;
  highlight: Highlight | undefined;
}

function BoxShape({ placed, mark, href, isSelected, highlight }: BoxShapeProps) {
  const { box, x, y, width, height, lines } = placed;
  const note = highlight?.boxes.get(box.id);
  const classes = ["graph-box", `graph-box-${box.kind}`];
  if (mark) classes.push(`graph-tone-${mark.tone}`);
  if (isSelected) classes.push("graph-selected");
  if (note) classes.push(`graph-note-${note.tone}`);
  const share = mark?.share === undefined ? "" : percent(mark.share);
  const title = [box.name, ...box.details, mark && `${mark.state}${share && `, ${share} of the attempts`}`, note?.badge && `attempt ${note.badge}`, note?.why].filter(Boolean).join("\n");
  // What is read out is what is seen: a space ends each line.
  const said = [...lines, mark?.state, share && `${share} of the attempts`, note?.badge && `attempt ${note.badge}`].filter(Boolean).join(" ");
  const shape = (
    <>
      <rect class="graph-frame" width={width} height={height} rx={box.kind === "deployment" ? 4 : 10} />
      {lines.map((line, index) => (
        <text key={index} class={index === 0 ? "graph-name" : "graph-detail"} x={12} y={LINE * (index + 1)}>
          {`${line} `}
        </text>
      ))}
      {mark && (
        <>
          {mark.share !== undefined && (
            <rect class="graph-share" x={1} y={height - 5} width={Math.max(0, (width - 2) * mark.share)} height={4} />
          )}
          <circle class="graph-dot" cx={17} cy={LINE * (lines.length + 1) - 5} r={4.5} />
          <text class="graph-state" x={27} y={LINE * (lines.length + 1)}>
            {`${mark.state} `}
          </text>
          {share && (
            <text class="graph-state" x={width - 12} y={LINE * (lines.length + 1)} text-anchor="end">
              {share}
            </text>
          )}
        </>
      )}
      {note?.badge && (
        <g class="graph-badge">
          <rect x={width - 14 - note.badge.length * 7} y={-9} width={14 + note.badge.length * 7} height={18} rx={9} />
          <text x={width - 7 - (note.badge.length * 7) / 2} y={4} text-anchor="middle">
            {note.badge}
          </text>
        </g>
      )}
      {note?.tone === "out" && <path class="graph-cross" d={`M${width - 20},8l12,12m0,-12l-12,12`} />}
    </>
  );
  const place = `translate(${x},${y})`;
  return (
    <g transform={place}>
      <title>{title}</title>
      {href === undefined ? (
        <g class={classes.join(" ")}>{shape}</g>
      ) : (
        <a class={classes.join(" ")} href={href} aria-label={said} aria-current={isSelected ? "true" : undefined}>
          {shape}
        </a>
      )}
    </g>
  );
}
