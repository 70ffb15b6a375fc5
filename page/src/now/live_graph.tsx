// The graph with the traffic of the last minute and the state of each deployment. A large document
// is shown in parts.

import { useMemo, useState } from "preact/hooks";
import { linkTo } from "../location";
import { MOST_BOXES_AT_ONCE, partOf, waysOf } from "../graph/graph_part.ts";
import { deploymentId, type RouteGraph } from "../graph/route_graph.ts";
import { RoutePicture } from "../graph/route_picture";
import type { DeploymentState } from "./deployment_state.ts";
import type { Traffic } from "./traffic.ts";

/** In a window of fewer pixels, only a part is shown until more is asked for. */
const NARROW = 700;

interface LiveGraphProps {
  graph: RouteGraph;
  states: DeploymentState[];
  traffic: Traffic | undefined;
  /** Only the part around this deployment. */
  around?: string;
}

export function LiveGraph({ graph, states, traffic, around }: LiveGraphProps) {
  const [chosen, setChosen] = useState<string>();
  const isLarge = graph.boxes.length > MOST_BOXES_AT_ONCE || window.innerWidth < NARROW;
  const models = graph.boxes.filter(({ kind }) => kind === "model");
  const part = around === undefined ? chosen ?? (isLarge ? busiest(traffic) ?? models[0]?.id ?? "" : "") : deploymentId(around);
  const shown = useMemo(() => (part === "" ? graph : partOf(graph, part)), [graph, part]);
  const ways = useMemo(() => waysOf(graph), [graph]);
  const shares = useMemo(() => arrowShares(ways, traffic), [ways, traffic]);
  const byName = useMemo(() => new Map(states.map((state) => [state.name, state])), [states]);
  const hasTraffic = traffic !== undefined && traffic.requests > 0;
  return (
    <>
      {around === undefined && (
        <label class="now-part">
          Show{" "}
          <select value={part} onChange={(event) => setChosen(event.currentTarget.value)}>
            <option value="">all routes</option>
            {models.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
          </select>
        </label>
      )}
      <RoutePicture
        graph={shown}
        label={around === undefined ? "Graph of the routes" : `Routes through ${around}`}
        markOf={(name) => {
          const state = byName.get(name);
          if (!state) return undefined;
          return { tone: state.tone, state: state.state, share: hasTraffic ? (traffic.deployments.get(name)?.share ?? 0) : undefined };
        }}
        shareOf={(arrow) => shares.get(arrow)}
        hrefOf={(name) => linkTo("now", name)}
        selected={around}
      />
      <p class="hint">
        The wider an arrow, the more requests of the last minute went that way, as far as their usage tells. Dashed arrows are taken after a
        failure of their class. The bar of a deployment is its share of all attempts.
      </p>
    </>
  );
}

/** The part of the requests on each arrow. */
function arrowShares(ways: ReturnType<typeof waysOf>, traffic: Traffic | undefined): Map<string, number> {
  const shares = new Map<string, number>();
  if (!traffic || traffic.requests === 0) return shares;
  for (const { model, deployment, requests } of traffic.served) {
    for (const arrow of ways(model, deploymentId(deployment))) {
      shares.set(arrow, (shares.get(arrow) ?? 0) + requests / traffic.requests);
    }
  }
  return shares;
}

function busiest(traffic: Traffic | undefined): string | undefined {
  const requests = new Map<string, number>();
  for (const { model, requests: count } of traffic?.served ?? []) requests.set(model, (requests.get(model) ?? 0) + count);
  return [...requests].sort(([, one], [, other]) => other - one)[0]?.[0];
}
